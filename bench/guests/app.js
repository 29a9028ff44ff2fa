// A handler in JavaScript, for `bench/serve.py`.
async function answer(request) {
  if (new URL(request.url).pathname === '/echo') {
    const value = await request.json();
    return new Response(JSON.stringify(value), { headers: { 'content-type': 'application/json' } });
  }
  return new Response('Hello from JavaScript\n');
}

addEventListener('fetch', (event) => event.respondWith(answer(event.request)));
