"""Published reward designs, one YAML file a paper. `rewardscape.rewards.list_presets` reads them."""
