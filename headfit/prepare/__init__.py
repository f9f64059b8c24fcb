"""What a capture is missing, found from its pictures: landmarks, calibration, time offsets, masks."""
