"""BoTorch models over architectures."""
