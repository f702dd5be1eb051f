"""The requirements, one module a family of the specification."""
