import <no-such-channel> { }
