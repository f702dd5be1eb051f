"""The site, and what writes the parts of it that are read off the code."""
