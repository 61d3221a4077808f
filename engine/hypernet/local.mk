# engine/hypernet
