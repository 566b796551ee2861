"""Turns examples and a plan into weights: device, plan, loop, optimizer, schedule, checkpoint, evaluation."""
