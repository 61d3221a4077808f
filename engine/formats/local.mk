# engine/formats
