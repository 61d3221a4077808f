# examples: programs that use libt2l as a stranger would
