"""Wrong implementations, each as small as its fault."""
