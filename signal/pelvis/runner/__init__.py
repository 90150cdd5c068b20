"""The simulated runner, part by part: who runs how, the steps, the motion, the sensor, the truth."""
