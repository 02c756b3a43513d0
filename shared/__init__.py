"""The vocabulary of the mesh: messages, wire, transport, plugins, configuration, the feature kernel and the filters.

Every other folder may import this one; it imports none of them.
"""
