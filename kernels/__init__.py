"""GPyTorch kernels on labelled directed acyclic graphs."""
