/** trogrimmoxax */
class Tool { void plugrimtroax() {} }
