import unittest

from hello import greeting


class Greeting(unittest.TestCase):
    def test_letters_are_counted(self):
        self.assertEqual(greeting("Zoë"), "Hello, Zoë! Your name has 3 letters.")
