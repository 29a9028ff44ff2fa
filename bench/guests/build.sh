#!/bin/sh
# Builds js.wasm and py.wasm for `bench/serve.py --guests FOLDER`: build.sh FOLDER
#
# It needs node, npm and python3, and takes their tools from their registries.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
cd "$1"
# The JavaScript engine is linked with this version of WASI.
version=0.2.10
rm -rf wit
for package in "$here"/../../wit/deps/*-0.2.12; do
    name=$(basename "$package" | sed "s/0\.2\.12/$version/")
    mkdir -p "wit/deps/$name"
    for file in "$package"/*.wit; do
        sed "s/0\.2\.12/$version/g" "$file" > "wit/deps/$name/$(basename "$file")"
    done
done
cat > wit/world.wit <<END
package bench:guests;
world js {
  import wasi:http/outgoing-handler@$version;
  export wasi:http/incoming-handler@$version;
}
world py {
  include wasi:http/proxy@$version;
}
END
cp "$here/app.js" "$here/app.py" .
cat > build.mjs <<END
import { componentize } from '@bytecodealliance/componentize-js';
import { readFileSync, writeFileSync } from 'node:fs';
const options = { witPath: 'wit', worldName: 'js', enableFeatures: ['http'], sourceName: 'app.js' };
const { component } = await componentize(readFileSync('app.js', 'utf8'), options);
writeFileSync('js.wasm', component);
END
[ -f package.json ] || npm init -y > /dev/null
npm install --silent @bytecodealliance/componentize-js
node build.mjs
[ -d venv ] || python3 -m venv venv
venv/bin/pip install --quiet componentize-py
venv/bin/componentize-py -d wit -w py componentize app -o py.wasm
