// Classifies faces with face-api's own code: node face_gender_network.cjs PACKAGE FACES ANSWERS
// FACES holds N pictures of 112 x 112 RGB bytes; ANSWERS becomes JSON, [male, female] for each.
const fs = require('fs');
const path = require('path');

const [folder, facesPath, answersPath] = process.argv.slice(2);
const BYTES = 112 * 112 * 3;
// The bundle for browsers holds TensorFlow.js; as a page it needs no more than this.
globalThis.window = globalThis;
globalThis.document = { createElement: () => ({ getContext: () => null, style: {} }) };
const bundle = fs.readFileSync(path.join(folder, 'dist', 'face-api.js'), 'utf8');
const faceapi = new Function('require', `${bundle};return faceapi;`)(require);

async function main() {
  const { tf } = faceapi;
  await tf.setBackend('cpu');
  await tf.ready();
  const model = path.join(folder, 'model', 'age_gender_model');
  const manifest = JSON.parse(fs.readFileSync(`${model}-weights_manifest.json`));
  const weights = Uint8Array.from(fs.readFileSync(`${model}.bin`)).buffer;
  const network = faceapi.nets.ageGenderNet;
  network.loadFromWeightMap(tf.io.decodeWeights(weights, manifest[0].weights));
  const bytes = fs.readFileSync(facesPath);
  const answers = [];
  for (let start = 0; start < bytes.length; start += BYTES) {
    const face = tf.tensor4d(Float32Array.from(bytes.subarray(start, start + BYTES)), [1, 112, 112, 3]);
    answers.push(Array.from((await network.forward(face)).gender.dataSync()));
  }
  fs.writeFileSync(answersPath, JSON.stringify(answers));
}

main().catch((error) => { console.error(error); process.exit(1); });
