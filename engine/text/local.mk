# engine/text
