"""PluginGen: a kernel_config.py in, one plugin library and its functional.py out."""
