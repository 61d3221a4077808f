# engine/adapters
