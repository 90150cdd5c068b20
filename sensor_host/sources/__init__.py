"""Sources of arrivals: radio, recording, simulated runner."""
