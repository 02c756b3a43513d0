"""The models that come with SoundSage, each with its manifest and its card."""
