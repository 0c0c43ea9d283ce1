'use strict';
const assert = require('assert');
const { test } = require('node:test');
const { server } = require('..');

test('pages have their content type', async () => {
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const base = `http://127.0.0.1:${server.address().port}`;
  try {
    const page = await fetch(`${base}/`);
    assert.strictEqual(page.headers.get('content-type'), 'text/html');
    assert.strictEqual(page.headers.get('cache-control'), 'max-age=600');
    assert.match(await page.text(), /It works/);
    assert.strictEqual((await fetch(`${base}/style.css`)).headers.get('content-type'), 'text/css');
    assert.strictEqual((await fetch(`${base}/package.json`)).status, 404);
  } finally {
    server.close();
    server.closeAllConnections?.();
  }
});
