'use strict';
const assert = require('assert');
const { painted } = require('..');

assert.strictEqual(process.version.split('.')[0], 'v14');
assert.strictEqual(painted('red'), '\u001b[31mred\u001b[39m');
