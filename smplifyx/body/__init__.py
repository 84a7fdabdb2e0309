"""The SMPL family: model files, skeletons, skinning, keypoint regressor, the open body."""
