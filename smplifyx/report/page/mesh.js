// Unpacks meshes and draws them: a view to turn and zoom, and still pictures from several sides.
"use strict";

const meshes = (() => {
  /** Bytes of a base64 text of zlib data. */
  async function inflated(text) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  /** Whole numbers in rows of `count`, as report/mesh.py packs them. */
  async function unpacked(text, count) {
    const bytes = await inflated(text);
    const size = bytes.length / 2;
    const values = new Uint16Array(size);
    for (let start = 0; start < size; start += count) {
      let sum = 0;
      for (let k = start; k < start + count; k++) {
        const folded = bytes[k] | (bytes[size + k] << 8);
        sum += folded & 1 ? -((folded + 1) >> 1) : folded >> 1;
        values[k] = sum;
      }
    }
    return values;
  }

  /** The mesh of a person, y up and z towards the viewer; the photo's camera is in the origin. */
  async function geometry(mesh, faces) {
    const n = mesh.count;
    const packed = await unpacked(mesh.data, n);
    const corners = await unpacked(faces.data, faces.count);
    const positions = new Float32Array(3 * n);
    const signs = [1, -1, -1];
    for (let axis = 0; axis < 3; axis++) {
      for (let k = 0; k < n; k++) {
        positions[3 * k + axis] = signs[axis] * (mesh.low[axis] + mesh.step * packed[axis * n + k]);
      }
    }
    const index = new Uint32Array(3 * faces.count);
    for (let k = 0; k < faces.count; k++) {
      for (let corner = 0; corner < 3; corner++) index[3 * k + corner] = corners[corner * faces.count + k];
    }
    const made = new THREE.BufferGeometry();
    made.setAttribute("position", new THREE.BufferAttribute(positions, 3));
    made.setIndex(new THREE.BufferAttribute(index, 1));
    made.computeVertexNormals();
    made.computeBoundingBox();
    return made;
  }

  /** A camera with the focal length and principal point of the photo. */
  function photoCamera(person) {
    const [fx, fy, cx, cy] = person.camera, [width, height] = person.size;
    const near = 0.02, far = 1000;
    const camera = new THREE.PerspectiveCamera();
    camera.projectionMatrix.set(
      (2 * fx) / width, 0, 1 - (2 * (cx + 0.5)) / width, 0,
      0, (2 * fy) / height, (2 * (cy + 0.5)) / height - 1, 0,
      0, 0, -(far + near) / (far - near), (-2 * far * near) / (far - near),
      0, 0, -1, 0,
    );
    camera.projectionMatrixInverse.copy(camera.projectionMatrix).invert();
    return camera;
  }

  class Viewer {
    /** Raises an error where the browser has no WebGL. */
    constructor() {
      this.renderer = new THREE.WebGLRenderer({ antialias: true, alpha: true, preserveDrawingBuffer: true });
      this.renderer.setPixelRatio(Math.min(window.devicePixelRatio || 1, 2));
      this.canvas = this.renderer.domElement;
      this.canvas.tabIndex = 0;
      this.canvas.setAttribute("role", "img");
      this.scene = new THREE.Scene();
      this.scene.add(new THREE.HemisphereLight(0xffffff, 0x8a8f96, 1.6));
      const key = new THREE.DirectionalLight(0xffffff, 2.0);
      key.position.set(-1, 1.2, 1);
      this.lights = new THREE.Group();
      this.lights.add(key);
      this.scene.add(this.lights);
      this.material = new THREE.MeshStandardMaterial({ roughness: 0.75 });
      this.body = new THREE.Mesh(new THREE.BufferGeometry(), this.material);
      this.scene.add(this.body);
      this.floor = new THREE.GridHelper(6, 24, 0x8a939c, 0xb4bac0);
      this.floor.material.transparent = true;
      this.floor.material.opacity = 0.45;
      this.scene.add(this.floor);
      this.camera = new THREE.PerspectiveCamera(30, 1, 0.01, 1000);
      this.controls = new THREE.OrbitControls(this.camera, this.canvas);
      this.controls.enablePan = true;
      this.controls.addEventListener("change", () => this.draw());
      this.canvas.addEventListener("keydown", (event) => this.key(event));
      new ResizeObserver(() => this.resize()).observe(this.canvas);
    }

    show(geometry, colour) {
      this.material.color.setRGB(...colour); // linear, as that of the pictures
      this.body.geometry.dispose();
      this.body.geometry = geometry;
      const box = geometry.boundingBox;
      this.centre = box.getCenter(new THREE.Vector3());
      this.extent = box.getSize(new THREE.Vector3());
      this.floor.position.set(this.centre.x, box.min.y, this.centre.z);
      this.look("front");
    }

    /** Turn the view: front (from the photo's camera), side, back or above. */
    look(from) {
      const directions = { front: [0, 0, 1], side: [1, 0, 0], back: [0, 0, -1], above: [0, 1, 0.0001] };
      const away = new THREE.Vector3(...directions[from]);
      if (from === "front") away.copy(this.centre).multiplyScalar(-1).normalize();
      const aspect = this.camera.aspect;
      const seen = from === "above" ? [this.extent.x, this.extent.z] : [Math.max(this.extent.x, this.extent.z), this.extent.y];
      const half = 0.56 * Math.max(seen[1], seen[0] / aspect);
      const distance = half / Math.tan((this.camera.fov * Math.PI) / 360) + this.extent.length() / 4;
      this.controls.target.copy(this.centre);
      this.camera.position.copy(this.centre).addScaledVector(away, distance);
      this.controls.update();
      this.draw();
    }

    key(event) {
      const turns = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
      const offset = this.camera.position.clone().sub(this.controls.target);
      if (turns[event.key]) {
        const radius = offset.length(), step = Math.PI / 12;
        const around = Math.atan2(offset.x, offset.z) + step * turns[event.key][0];
        const down = Math.acos(offset.y / radius) + step * turns[event.key][1];
        const polar = Math.min(Math.max(down, 0.001), Math.PI - 0.001);
        offset.set(
          radius * Math.sin(polar) * Math.sin(around), radius * Math.cos(polar), radius * Math.sin(polar) * Math.cos(around),
        );
      } else if (event.key === "+" || event.key === "=") offset.multiplyScalar(0.85);
      else if (event.key === "-") offset.multiplyScalar(1 / 0.85);
      else return;
      event.preventDefault();
      event.stopPropagation(); // the arrow keys also change the person
      this.camera.position.copy(this.controls.target).add(offset);
      this.controls.update();
      this.draw();
    }

    resize() {
      const { clientWidth: width, clientHeight: height } = this.canvas;
      if (!width || !height) return;
      this.renderer.setSize(width, height, false);
      this.camera.aspect = width / height;
      this.camera.updateProjectionMatrix();
      this.draw();
    }

    draw() {
      this.lights.quaternion.copy(this.camera.quaternion);
      this.renderer.render(this.scene, this.camera);
    }

    /** A picture from one side as an address, without perspective. */
    still(from, width = 480, height = 360) {
      const up = from === "above" ? this.extent.z : this.extent.y;
      const across = from === "side" ? this.extent.z : this.extent.x;
      const half = 0.57 * Math.max(up, (across * height) / width);
      const camera = new THREE.OrthographicCamera((-half * width) / height, (half * width) / height, half, -half, 0.01, 100);
      const away = { side: [1, 0, 0], above: [0, 1, 0] }[from];
      camera.position.copy(this.centre).addScaledVector(new THREE.Vector3(...away), 20);
      if (from === "above") camera.up.set(0, 0, -1);
      camera.lookAt(this.centre);
      return this.picture(camera, width, height, true);
    }

    /** The body alone as the photo's camera sees it, to lie over the photo. */
    overlay(person) {
      const scale = Math.min(1, 1024 / Math.max(...person.size));
      const [width, height] = person.size.map((side) => Math.max(1, Math.round(scale * side)));
      return this.picture(photoCamera(person), width, height, false);
    }

    picture(camera, width, height, withFloor) {
      const ratio = this.renderer.getPixelRatio();
      this.renderer.setPixelRatio(1);
      this.renderer.setSize(width, height, false);
      camera.updateMatrixWorld();
      this.lights.quaternion.copy(camera.quaternion);
      this.floor.visible = withFloor;
      this.renderer.render(this.scene, camera);
      this.floor.visible = true;
      const address = this.canvas.toDataURL("image/png");
      this.renderer.setPixelRatio(ratio);
      this.resize();
      return address;
    }
  }

  let viewer, failed = false;

  return {
    geometry,
    /** The one viewer of the page, or null where the browser cannot draw meshes. */
    viewer() {
      if (!viewer && !failed) {
        try {
          viewer = new Viewer();
        } catch {
          failed = true;
        }
      }
      return viewer || null;
    },
  };
})();
