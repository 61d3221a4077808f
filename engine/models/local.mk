# engine/models
