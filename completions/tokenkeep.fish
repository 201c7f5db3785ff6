complete --keep-order --exclusive --command tokenkeep --arguments "(COMPLETE=fish tokenkeep -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token))"
