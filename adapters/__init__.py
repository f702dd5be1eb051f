"""Adapters: how headcheck drives an implementation."""
