"""What experiments share: settings, trajectories of training, copies, curvature."""
