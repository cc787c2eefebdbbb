"""Frames in and out: video files, raw planes, folders of pictures."""
