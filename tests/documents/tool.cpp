// wolfgrimsnaax
class Tool { void dregrimzorax(); };
