# engine/training
