'use strict';
const ms = require('ms');

// A greeting with the time since `start`, as people say it.
exports.greeting = (name, elapsed) => `Hello, ${name}! Node.js ${process.version} has been up for ${ms(elapsed)}.`;
