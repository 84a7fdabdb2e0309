"""The open body's relatives: SMPL, SMPL+H, MANO and FLAME layouts of the same surface."""
