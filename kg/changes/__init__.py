"""The write path: changesets, rules, commits, the journal, the data folder, upgrades and credentials."""
