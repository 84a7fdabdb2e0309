#!/bin/sh
# Make smplifyx/report/page/three.min.js: the parts of three.js that the report uses, as one classic script, since a page
# that is opened from a file may not load modules. Needs npm.
set -eu

version=0.187.0
target=$(cd "$(dirname "$0")/.." && pwd)/smplifyx/report/page/three.min.js
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
cd "$folder"
npm init -y > /dev/null
npm install "three@$version" esbuild@0.28.2
cat > entry.js <<'END'
export {
  BufferAttribute, BufferGeometry, DirectionalLight, GridHelper, Group, HemisphereLight, Mesh, MeshStandardMaterial,
  OrthographicCamera, PerspectiveCamera, Scene, Vector3, WebGLRenderer,
} from 'three';
export { OrbitControls } from 'three/addons/controls/OrbitControls.js';
END
notice="/* three.js $version, https://threejs.org, Copyright 2010-2026 three.js authors, SPDX-License-Identifier: MIT */"
npx esbuild entry.js --bundle --minify --format=iife --global-name=THREE --legal-comments=inline \
  --banner:js="$notice" --outfile="$target"
