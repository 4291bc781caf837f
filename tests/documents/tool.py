"""drepluzorax"""


def kipplupluax():
    return "moxplukipax"
