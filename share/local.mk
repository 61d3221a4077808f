# share: demo models, tasks, recipes, themes, man page, completions
