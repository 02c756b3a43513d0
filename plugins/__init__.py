"""The plugins that come with SoundSage, registered exactly as a third party registers its own."""
