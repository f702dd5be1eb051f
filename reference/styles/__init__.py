"""Right implementations in other styles than the paper's formula."""
