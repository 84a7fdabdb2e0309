// Body of one native function: the objective of LANES rows of a batch, its gradient, and its Gauss-Newton matrix.
//
// Every number is a vector of LANES rows, and every operation acts on each lane alone in a fixed order. So a row has
// the same bits whatever stands beside it, in whichever lane and tile. The Gauss-Newton part takes one row at a time;
// its lanes are parameters.
//
// Arguments: thread, P (addresses), I (sizes), W (weights); native_tables.py has their entries.
typedef float vf __attribute__((vector_size(4 * LANES)));
typedef int vi __attribute__((vector_size(4 * LANES)));
typedef float vu __attribute__((vector_size(4 * LANES), aligned(4)));

// DECLARATIONS of arrays, sizes and weights by their names in native_tables.py.

const int tile = thread;  // of LANES rows

const bool forward = run == FORWARD || run == BOTH, backward = run == BACKWARD || run == BOTH;
const int K = n_static + n_contour;
const float slope = rectifier[0], rounding = rectifier[1], per_rounding = rectifier[2];

// y [N] = bias + W x, or y += W x; W packed as [N / 8][K][8], behind it the bias [N].
const auto affine = [&](const float* w, int n_out, int n_in, const vf* x, vf* y, bool with_bias, bool add) __attribute__((noinline)) {
  const int n_blocks = (n_out + 7) / 8;
  const float* bias = w + (size_t)n_blocks * 8 * n_in;
  for (int b = 0; b < n_blocks; ++b) {
    const float* p = w + (size_t)b * 8 * n_in;
    vf a0 = {}, a1 = {}, a2 = {}, a3 = {}, a4 = {}, a5 = {}, a6 = {}, a7 = {};
    if (with_bias) {
      a0 += bias[8 * b]; a1 += bias[8 * b + 1]; a2 += bias[8 * b + 2]; a3 += bias[8 * b + 3];
      a4 += bias[8 * b + 4]; a5 += bias[8 * b + 5]; a6 += bias[8 * b + 6]; a7 += bias[8 * b + 7];
    }
    for (int k = 0; k < n_in; ++k, p += 8) {
      const vf xk = x[k];
      a0 += p[0] * xk; a1 += p[1] * xk; a2 += p[2] * xk; a3 += p[3] * xk;
      a4 += p[4] * xk; a5 += p[5] * xk; a6 += p[6] * xk; a7 += p[7] * xk;
    }
    const vf a[8] = {a0, a1, a2, a3, a4, a5, a6, a7};
    const int n = n_out - 8 * b < 8 ? n_out - 8 * b : 8;
    if (add) for (int i = 0; i < n; ++i) y[8 * b + i] += a[i];
    else for (int i = 0; i < n; ++i) y[8 * b + i] = a[i];
  }
};
const auto square_root = [&](vf x) { return __builtin_elementwise_sqrt(x); };
// The rounded rectifier, and its derivative from its value; see priors/vposer.py.
const auto rectify = [&](vf x) {
  const vf none = x * 0.0f;
  const vf up = __builtin_elementwise_min(__builtin_elementwise_max(x + rounding, none), none + 2.0f * rounding);
  return slope * x + (1.0f - slope) * (0.25f * per_rounding * up * up + __builtin_elementwise_max(x - rounding, none));
};
const auto rectified_slope = [&](vf y) {
  const vf square = slope + (1.0f - slope) * per_rounding * y;
  return square_root(__builtin_elementwise_min(__builtin_elementwise_max(square, y * 0.0f + slope * slope), y * 0.0f + 1.0f));
};
// Sine and cosine of angles >= 0 (Cephes' polynomials after a reduction in three steps).
const auto sine_cosine = [&](vf x, vf& s, vf& c) {
  const vf k = __builtin_elementwise_rint(x * 0.63661977236758134f);
  vf r = x - k * 1.5703125f;
  r = r - k * 4.837512969970703125e-4f;
  r = r - k * 7.54978995489188216e-8f;
  const vf q = r * r;
  const vf sr = r + r * q * (-1.6666654611e-1f + q * (8.3321608736e-3f - q * 1.9515295891e-4f));
  const vf cr = 1.0f - 0.5f * q + q * q * (4.166664568298827e-2f + q * (-1.388731625493765e-3f + q * 2.443315711809948e-5f));
  const vi n = __builtin_convertvector(k, vi);
  const vi odd = (n & 1) != 0;
  s = odd ? cr : sr;
  c = odd ? sr : cr;
  s = ((n & 2) != 0) ? -s : s;
  c = (((n + 1) & 2) != 0) ? -c : c;
};
const auto multiply = [&](const vf* a, const vf* b, vf* c) {  // c = a b
  for (int i = 0; i < 3; ++i) for (int j = 0; j < 3; ++j)
    c[3 * i + j] = a[3 * i] * b[j] + a[3 * i + 1] * b[3 + j] + a[3 * i + 2] * b[6 + j];
};
const auto multiply_tn = [&](const vf* a, const vf* b, vf* c) {  // c = a' b
  for (int i = 0; i < 3; ++i) for (int j = 0; j < 3; ++j)
    c[3 * i + j] = a[i] * b[j] + a[3 + i] * b[3 + j] + a[6 + i] * b[6 + j];
};
const auto add_multiply_nt = [&](const vf* a, const vf* b, vf* c) {  // c += a b'
  for (int i = 0; i < 3; ++i) for (int j = 0; j < 3; ++j)
    c[3 * i + j] += a[3 * i] * b[3 * j] + a[3 * i + 1] * b[3 * j + 1] + a[3 * i + 2] * b[3 * j + 2];
};
// R = cos(t) I + a [v]x + b v v' with a = sin(t) / t, b = (1 - cos(t)) / t^2.
const auto rodrigues_factors = [&](const vf* v, vf& square, vf& a, vf& b, vf& cosine) {
  square = v[0] * v[0] + v[1] * v[1] + v[2] * v[2];
  const vf tiny = square * 0.0f + 1e-24f;
  const vf t = square_root(square > tiny ? square : tiny);
  vf s, c;
  sine_cosine(0.5f * t, s, c);
  const vf quotient = s / t;
  a = 2.0f * quotient * c;
  b = 2.0f * quotient * quotient;
  cosine = 1.0f - 2.0f * s * s;
};
const auto rodrigues = [&](const vf* v, vf* R) __attribute__((noinline)) {
  vf square, a, b, c;
  rodrigues_factors(v, square, a, b, c);
  const vf x = a * v[0], y = a * v[1], z = a * v[2];
  const vf bx = b * v[0], by = b * v[1], bz = b * v[2];
  R[0] = c + bx * v[0]; R[1] = bx * v[1] - z; R[2] = bx * v[2] + y;
  R[3] = by * v[0] + z; R[4] = c + by * v[1]; R[5] = by * v[2] - x;
  R[6] = bz * v[0] - y; R[7] = bz * v[1] + x; R[8] = c + bz * v[2];
};
const auto rodrigues_gradient = [&](const vf* v, const vf* G, vf* g) __attribute__((noinline)) {
  vf square, a, b, cosine;
  rodrigues_factors(v, square, a, b, cosine);
  const vf to_sine[3] = {G[7] - G[5], G[2] - G[6], G[3] - G[1]};
  vf to_outer[3];
  for (int i = 0; i < 3; ++i)
    to_outer[i] = (G[3 * i] + G[i]) * v[0] + (G[3 * i + 1] + G[3 + i]) * v[1] + (G[3 * i + 2] + G[6 + i]) * v[2];
  const vi small = square < 0.05f;
  const vf divisor = small ? square * 0.0f + 1.0f : square;
  const vf a_series = -1.0f / 6 + square * (1.0f / 60 - square * (1.0f / 1680 - square * (1.0f / 90720)));
  const vf b_series = -1.0f / 24 + square * (1.0f / 360 - square * (1.0f / 13440 - square * (1.0f / 907200)));
  const vf a_slope = small ? a_series : (cosine - a) / (2.0f * divisor);
  const vf b_slope = small ? b_series : (0.5f * a - b) / divisor;
  vf along = square * 0.0f;
  for (int i = 0; i < 3; ++i) along += v[i] * (2.0f * a_slope * to_sine[i] + b_slope * to_outer[i]);
  const vf trace = G[0] + G[4] + G[8];
  for (int i = 0; i < 3; ++i) g[i] = a * to_sine[i] + b * to_outer[i] + v[i] * (along - a * trace);
};

// The workspace of a tile, by offsets.
int used = 0;
const auto take = [&](int n) { const int start = used; used += n; return start; };
const int o_xs = take(D);
int o_hidden[8];
for (int l = 0; l + 1 < n_layers; ++l) o_hidden[l] = take(layer_size[l + 1]);
const int o_six = take(6 * n_body), o_turns = take(3 * n_body), o_decoded = take(9 * n_body), o_turned = take(9 * n_body);
const int o_angles = take(3 * n_angles), o_root_start = take(9), o_local = take(9 * J), o_world = take(9 * J);
const int o_places = take(3 * J), o_shaped = take(3 * (J + V)), o_feature = take(n_feature), o_coefficients = take(n_pose);
const int o_posed = take(3 * (J + V)), o_keypoints = take(3 * K);
const int o_to_keypoints = take(3 * K), o_to_joints = take(3 * J), o_to_hinges = take(4 * n_hinges);

if (run != GAUSS_NEWTON) {
vf* const ws = workspace + (size_t)tile * ws_size;
vf* xs = ws + o_xs; vf* six = ws + o_six; vf* turns = ws + o_turns; vf* decoded = ws + o_decoded;
vf* turned = ws + o_turned; vf* angles = ws + o_angles; vf* root_start = ws + o_root_start; vf* local = ws + o_local;
vf* world = ws + o_world; vf* places = ws + o_places; vf* shaped = ws + o_shaped; vf* feature = ws + o_feature;
vf* coefficients = ws + o_coefficients; vf* posed = ws + o_posed; vf* keypoints = ws + o_keypoints;
vf* t_keypoints = ws + o_to_keypoints; vf* t_joints = ws + o_to_joints; vf* t_hinges = ws + o_to_hinges;
vf* rest = shaped;
vf* vertices = shaped + 3 * J;
vf* at = ws + used;
const auto scrap = [&](int n) { vf* start = at; at += n; return start; };
vf offset[3];
const vf zero = {};
int row_of[LANES];
for (int r = 0; r < LANES; ++r) row_of[r] = tile * LANES + r < n_rows ? tile * LANES + r : n_rows - 1;
int batch_row[LANES];
for (int r = 0; r < LANES; ++r) batch_row[r] = (int)rows[row_of[r]];
const int n_lanes = n_rows - tile * LANES < LANES ? n_rows - tile * LANES : LANES;

if (forward) {
  for (int d = 0; d < D; ++d) for (int r = 0; r < LANES; ++r) xs[d][r] = base[(size_t)batch_row[r] * D + d];
  for (int f = 0; f < F; ++f) {
    const int d = free_column[f];
    for (int r = 0; r < LANES; ++r) xs[d][r] = x_in[(size_t)row_of[r] * F + f];
  }
  if (mode >= 2) {
    const vf* input = xs + pose_start;
    for (int l = 0; l < n_layers; ++l) {
      vf* output = l + 1 < n_layers ? ws + o_hidden[l] : six;
      affine(layers[l], layer_size[l + 1], layer_size[l], input, output, true, false);
      if (l + 1 < n_layers)
        for (int i = 0; i < layer_size[l + 1]; ++i) output[i] = rectify(output[i]);
      input = output;
    }
    for (int j = 0; j < n_body; ++j) {  // Gram-Schmidt; the two columns lie interleaved
      const vf* s = six + 6 * j;
      vf* R = decoded + 9 * j;
      const vf tiny = s[0] * 0.0f + 1e-24f;
      const vf square = s[0] * s[0] + s[2] * s[2] + s[4] * s[4];
      const vf scale = 1.0f / square_root(square > tiny ? square : tiny);
      const vf a0 = scale * s[0], a1 = scale * s[2], a2 = scale * s[4];
      const vf dot = a0 * s[1] + a1 * s[3] + a2 * s[5];
      const vf u0 = s[1] - dot * a0, u1 = s[3] - dot * a1, u2 = s[5] - dot * a2;
      const vf u_square = u0 * u0 + u1 * u1 + u2 * u2;
      const vf u_scale = 1.0f / square_root(u_square > tiny ? u_square : tiny);
      const vf b0 = u_scale * u0, b1 = u_scale * u1, b2 = u_scale * u2;
      R[0] = a0; R[3] = a1; R[6] = a2;
      R[1] = b0; R[4] = b1; R[7] = b2;
      R[2] = a1 * b2 - a2 * b1; R[5] = a2 * b0 - a0 * b2; R[8] = a0 * b1 - a1 * b0;
    }
  }
  if (mode == 1 || mode == 3) {
    affine(turn_map, 3 * n_body, 3 * n_body, xs + turn_start, turns, true, false);
    for (int j = 0; j < n_body; ++j) rodrigues(turns + 3 * j, turned + 9 * j);
  }
  for (int r = 0; r < LANES; ++r)
    for (int i = 0; i < 9; ++i) root_start[i][r] = orientation[(size_t)batch_row[r] * 9 + i];
  vf root_turn[9];
  rodrigues(xs + first_orient, root_turn);
  multiply(root_turn, root_start, local);
  for (int j = 0; j < n_body; ++j) {
    vf* R = local + 9 * (1 + j);
    if (mode == 3) multiply(decoded + 9 * j, turned + 9 * j, R);
    else for (int i = 0; i < 9; ++i) R[i] = mode == 1 ? turned[9 * j + i] : decoded[9 * j + i];
  }
  for (int j = 1 + n_body; j < first_angle; ++j)
    for (int i = 0; i < 9; ++i) local[9 * j + i] = zero + (i % 4 == 0 ? 1.0f : 0.0f);
  affine(angle_map, 3 * n_angles, D, xs, angles, true, false);
  for (int k = 0; k < n_angles; ++k) rodrigues(angles + 3 * k, local + 9 * (first_angle + k));

  affine(template_map, 3 * (J + V), C, xs + first_shape, shaped, true, false);
  for (int i = 0; i < 9; ++i) world[i] = local[i];
  for (int i = 0; i < 3; ++i) places[i] = rest[i];
  for (int j = 1; j < J; ++j) {
    const int p = parents[j];
    const vf* W = world + 9 * p;
    multiply(W, local + 9 * j, world + 9 * j);
    const vf b0 = rest[3 * j] - rest[3 * p], b1 = rest[3 * j + 1] - rest[3 * p + 1], b2 = rest[3 * j + 2] - rest[3 * p + 2];
    for (int i = 0; i < 3; ++i)
      places[3 * j + i] = places[3 * p + i] + (W[3 * i] * b0 + W[3 * i + 1] * b1 + W[3 * i + 2] * b2);
  }
  if (n_pose) {
    for (int j = 1; j < J; ++j) for (int i = 0; i < 9; ++i)
      feature[9 * (j - 1) + i] = local[9 * j + i] - (i % 4 == 0 ? 1.0f : 0.0f);
    const vf* factors = feature;
    if (projection) { affine(projection, n_pose, n_feature, feature, coefficients, false, false); factors = coefficients; }
    affine(pose_map, 3 * V, n_pose, factors, vertices, false, true);
  }
  for (int r = 0; r < LANES; ++r) {
    const float* start = origin + (size_t)batch_row[r] * 3;
    for (int i = 0; i < 3; ++i) offset[i][r] = start[i] + xs[first_translation + i][r] * start[2];
  }
  // All points are relative to the offset, whose digits would drown those of a body that is far away.
  for (int i = 0; i < 3 * J; ++i) posed[i] = places[i];
  for (int v = 0; v < V; ++v) {
    const vf* s = vertices + 3 * v;
    vf* out = posed + 3 * (J + v);
    for (int i = 0; i < 3; ++i) out[i] = zero;
    for (int e = skin_start[v]; e < skin_start[v + 1]; ++e) {
      const int j = skin_joint[e];
      const float w = skin_weight[e];
      const vf* W = world + 9 * j;
      const vf d0 = s[0] - rest[3 * j], d1 = s[1] - rest[3 * j + 1], d2 = s[2] - rest[3 * j + 2];
      for (int i = 0; i < 3; ++i)
        out[i] += w * (places[3 * j + i] + (W[3 * i] * d0 + W[3 * i + 1] * d1 + W[3 * i + 2] * d2));
    }
  }
  for (int k = 0; k < n_static; ++k) {
    vf sum[3] = {};
    for (int e = static_start[k]; e < static_start[k + 1]; ++e)
      for (int i = 0; i < 3; ++i) sum[i] += static_weight[e] * posed[3 * static_point[e] + i];
    for (int i = 0; i < 3; ++i) keypoints[3 * k + i] = sum[i];
  }
  if (n_contour) for (int r = 0; r < LANES; ++r) {
    const size_t start = (size_t)contour_row[batch_row[r]] * n_contour * 3;
    for (int k = 0; k < n_contour; ++k) for (int i = 0; i < 3; ++i) {
      float sum = 0.0f;
      for (int e = 0; e < 3; ++e)
        sum += contour_weight[start + 3 * k + e] * posed[3 * (J + contour_vertex[start + 3 * k + e]) + i][r];
      keypoints[3 * (n_static + k) + i][r] = sum;
    }
  }
  if (world_out) for (int r = 0; r < n_lanes; ++r) {
    const size_t row = row_of[r];
    for (int i = 0; i < 9 * J; ++i) world_out[row * 9 * J + i] = world[i][r];
    for (int i = 0; i < 3 * J; ++i) positions_out[row * 3 * J + i] = places[i][r] - places[i % 3][r];
    for (int i = 0; i < 3 * J; ++i) rest_out[row * 3 * J + i] = rest[i][r];
    for (int i = 0; i < C; ++i) coefficients_out[row * (C + n_pose) + i] = xs[first_shape + i][r];
    const vf* factors = projection ? coefficients : feature;
    for (int i = 0; i < n_pose; ++i) coefficients_out[row * (C + n_pose) + C + i] = factors[i][r];
  }

  // The terms, and their gradients for keypoints, joints and hinges.
  const auto of_rows = [&](const float* from, int stride, int place) {
    vf value;
    for (int r = 0; r < LANES; ++r) value[r] = from[(size_t)batch_row[r] * stride + place];
    return value;
  };
  vf loss = zero;
  for (int d = 0; d < D; ++d) loss += quadratic[d] * (xs[d] * xs[d]);
  if (w_frames != 0.0f && mode >= 2) for (int j = 0; j < n_body; ++j) {
    const vf* s = six + 6 * j;
    const vf* R = decoded + 9 * j;
    const vf dot = R[0] * s[1] + R[3] * s[3] + R[6] * s[5];
    const vf u0 = s[1] - dot * R[0], u1 = s[3] - dot * R[3], u2 = s[5] - dot * R[6];
    const vf lack = __builtin_elementwise_max(1.0f - (u0 * u0 + u1 * u1 + u2 * u2) / frame_limit, zero);
    loss += w_frames * (lack * lack);
  }
  if (w_depth != 0.0f) {
    const vf change = xs[first_translation + 2] * of_rows(origin, 3, 2);
    loss += w_depth * (change * change);
  }
  const vf fx = of_rows(cameras, 3, 0), fy = of_rows(cameras, 3, 1), scale = of_rows(cameras, 3, 2);
  const vf unit = of_rows(origin, 3, 2);
  const vf* t = xs + first_translation;
  for (int k = 0; k < K; ++k) {
    const vf w = of_rows(keypoint_weights, K, k);
    vf* point = keypoints + 3 * k;
    // Distances from the observed ray, at the depth of the point: of the start, of the translation, of the body.
    const vf rx = of_rows(targets, 4 * K, 4 * k), ry = of_rows(targets, 4 * K, 4 * k + 1);
    const vf dx = (of_rows(targets, 4 * K, 4 * k + 2) + unit * (t[0] - rx * t[2])) + (point[0] - rx * point[2]);
    const vf dy = (of_rows(targets, 4 * K, 4 * k + 3) + unit * (t[1] - ry * t[2])) + (point[1] - ry * point[2]);
    for (int i = 0; i < 3; ++i) point[i] += offset[i];
    const vf inverse = 1.0f / point[2], u = point[0] * inverse, v = point[1] * inverse;
    const vf ex = dx * inverse * fx * scale, ey = dy * inverse * fy * scale;
    vf sx = ex * ex, sy = ey * ey, gx = 2.0f * ex, gy = 2.0f * ey;
    if (rho > 0.0f) {
      const float square = rho * rho;
      const vf fx2 = square / (sx + square), fy2 = square / (sy + square);
      sx = sx * fx2; sy = sy * fy2;
      gx = gx * fx2 * fx2; gy = gy * fy2 * fy2;
    }
    loss += w * (sx + sy);
    gx = w * gx * scale * fx; gy = w * gy * scale * fy;
    t_keypoints[3 * k] = gx * inverse;
    t_keypoints[3 * k + 1] = gy * inverse;
    t_keypoints[3 * k + 2] = -(gx * u + gy * v) * inverse;
  }
  for (int i = 0; i < 3 * J; ++i) t_joints[i] = zero;
  for (int s = 0; s < n_segments; ++s) {
    const float weight = (s == 0 ? w_tilt : w_stance) * segment_shape[2 * s + 1], limit = segment_shape[2 * s];
    if (weight == 0.0f) continue;
    vf w = zero + weight;
    if (s) w = w * of_rows(stance, 1, 0);
    const int a = segments[2 * s], b = segments[2 * s + 1];
    const vf lx = posed[3 * b] - posed[3 * a], ly = posed[3 * b + 1] - posed[3 * a + 1], lz = posed[3 * b + 2] - posed[3 * a + 2];
    const vf inverse = 1.0f / (lx * lx + ly * ly + lz * lz);
    const vf q = lz * lz * inverse;
    const vf f = limit / (q + limit);
    loss += w * (q * f);
    const vf g = w * f * f * 2.0f * inverse;  // times (lz z - q l)
    const vf g0 = -g * q * lx, g1 = -g * q * ly, g2 = g * (lz - q * lz);
    t_joints[3 * b] += g0; t_joints[3 * b + 1] += g1; t_joints[3 * b + 2] += g2;
    t_joints[3 * a] -= g0; t_joints[3 * a + 1] -= g1; t_joints[3 * a + 2] -= g2;
  }
  if (w_lifting != 0.0f) for (int b = 0; b < n_lifted; ++b) {
    vf off[3], g[3] = {};
    for (int i = 0; i < 3; ++i) off[i] = posed[3 * (1 + b) + i] - posed[i] - of_rows(lifted, 3 * n_lifted, 3 * b + i);
    for (int i = 0; i < 3; ++i) {
      vf m[3];
      for (int k = 0; k < 3; ++k) m[k] = of_rows(precision, 9 * n_lifted, 9 * b + 3 * i + k);
      const vf y = m[0] * off[0] + m[1] * off[1] + m[2] * off[2];
      loss += w_lifting * (y * y);
      for (int k = 0; k < 3; ++k) g[k] += m[k] * y;
    }
    for (int k = 0; k < 3; ++k) {
      t_joints[3 * (1 + b) + k] += 2.0f * w_lifting * g[k];
      t_joints[k] -= 2.0f * w_lifting * g[k];
    }
  }
  if (w_limits != 0.0f) for (int h = 0; h < n_hinges; ++h) {
    const vf* R = local + 9 * hinges[3 * h];
    const int axis = hinges[3 * h + 1], i = (axis + 1) % 3, j = (axis + 2) % 3;
    const float sign = hinges[3 * h + 2];
    const vf y = R[3 * j + i] - R[3 * i + j], x = R[4 * i] + R[4 * j];
    vf energy;
    for (int r = 0; r < LANES; ++r) energy[r] = ::expf(2.0f * sign * ::atan2f(y[r], x[r]));
    loss += w_limits * energy;
    const vf g = 2.0f * sign * w_limits * energy / (x * x + y * y);
    t_hinges[2 * h] = g * x;    // for y
    t_hinges[2 * h + 1] = -g * y;  // for x
  }
  for (int r = 0; r < n_lanes; ++r) loss_out[row_of[r]] = loss[r];
}
if (backward) {
  vf* gx = scrap(D);
  vf* g_points = scrap(3 * (J + V));
  vf* g_shaped = scrap(3 * (J + V));  // rest joints, then vertices
  vf* g_world = scrap(9 * J);
  vf* g_local = scrap(9 * J);
  vf* g_factors = scrap(n_pose);
  vf* g_feature = scrap(n_feature);
  vf* g_angles = scrap(3 * n_angles);
  vf* g_turns = scrap(3 * n_body);
  vf* g_six = scrap(6 * n_body);
  for (int i = 0; i < D; ++i) gx[i] = 2.0f * quadratic[i] * xs[i];
  for (int i = 0; i < 3 * (J + V); ++i) g_points[i] = g_shaped[i] = zero;
  for (int i = 0; i < 9 * J; ++i) g_world[i] = g_local[i] = zero;
  for (int i = 0; i < n_pose; ++i) g_factors[i] = zero;
  vf to_offset[3] = {};

  const auto load = [&](const float* from, size_t stride, size_t place) {
    vf value;
    for (int r = 0; r < LANES; ++r) value[r] = from[(size_t)row_of[r] * stride + place];
    return value;
  };
  if (w_depth != 0.0f) for (int r = 0; r < LANES; ++r) {
    const float depth = origin[(size_t)batch_row[r] * 3 + 2];
    gx[first_translation + 2][r] += 2.0f * w_depth * depth * depth * xs[first_translation + 2][r];
  }
  for (int i = 0; i < 3 * J; ++i) g_points[i] += t_joints[i];
  for (int k = 0; k < n_static; ++k) for (int i = 0; i < 3; ++i) {
    const vf g = t_keypoints[3 * k + i];
    for (int e = static_start[k]; e < static_start[k + 1]; ++e) g_points[3 * static_point[e] + i] += static_weight[e] * g;
  }
  if (n_contour) for (int r = 0; r < LANES; ++r) {
    const size_t start = (size_t)contour_row[batch_row[r]] * n_contour * 3;
    for (int k = 0; k < n_contour; ++k) for (int i = 0; i < 3; ++i) {
      const float g = t_keypoints[3 * (n_static + k) + i][r];
      for (int e = 0; e < 3; ++e)
        g_points[3 * (J + contour_vertex[start + 3 * k + e]) + i][r] += contour_weight[start + 3 * k + e] * g;
    }
  }
  if (w_limits != 0.0f) for (int h = 0; h < n_hinges; ++h) {
    vf* G = g_local + 9 * hinges[3 * h];
    const int axis = hinges[3 * h + 1], i = (axis + 1) % 3, j = (axis + 2) % 3;
    G[3 * j + i] += t_hinges[2 * h]; G[3 * i + j] -= t_hinges[2 * h];
    G[4 * i] += t_hinges[2 * h + 1]; G[4 * j] += t_hinges[2 * h + 1];
  }
  // The offset moves all points; positions of bones are relative to the first joint and do not move with it.
  for (int i = 0; i < 3 * (J + V); ++i) to_offset[i % 3] += g_points[i];
  if (to_world_in) {
    for (int i = 0; i < 9 * J; ++i) g_world[i] += load(to_world_in, 9 * J, i);
    for (int i = 0; i < 3 * J; ++i) {
      const vf g = load(to_positions_in, 3 * J, i);
      g_points[i] += g;
      g_points[i % 3] -= g;
    }
    for (int i = 0; i < 3 * J; ++i) g_shaped[i] += load(to_rest_in, 3 * J, i);
    for (int i = 0; i < C; ++i) gx[first_shape + i] += load(to_coefficients_in, C + n_pose, i);
    for (int i = 0; i < n_pose; ++i) g_factors[i] += load(to_coefficients_in, C + n_pose, C + i);
  }

  // Skinning. From here on the first part of g_points are the joints' places.
  for (int v = 0; v < V; ++v) {
    const vf* s = vertices + 3 * v;
    const vf* g = g_points + 3 * (J + v);
    vf* gs = g_shaped + 3 * (J + v);
    for (int e = skin_start[v]; e < skin_start[v + 1]; ++e) {
      const int j = skin_joint[e];
      const float w = skin_weight[e];
      const vf* W = world + 9 * j;
      const vf h[3] = {w * g[0], w * g[1], w * g[2]};
      const vf d[3] = {s[0] - rest[3 * j], s[1] - rest[3 * j + 1], s[2] - rest[3 * j + 2]};
      for (int i = 0; i < 3; ++i) {
        g_points[3 * j + i] += h[i];
        for (int k = 0; k < 3; ++k) g_world[9 * j + 3 * i + k] += h[i] * d[k];
        const vf back = W[i] * h[0] + W[3 + i] * h[1] + W[6 + i] * h[2];
        gs[i] += back;
        g_shaped[3 * j + i] -= back;
      }
    }
  }
  if (n_pose) {
    affine(pose_map_t, n_pose, 3 * V, g_shaped + 3 * J, g_factors, false, true);
    const vf* to_feature = g_factors;
    if (projection) { affine(projection_t, n_feature, n_pose, g_factors, g_feature, false, false); to_feature = g_feature; }
    for (int i = 0; i < n_feature; ++i) g_local[9 + i] += to_feature[i];
  }
  // Kinematics, from the leaves to the root.
  for (int j = J - 1; j > 0; --j) {
    const int p = parents[j];
    const vf* W = world + 9 * p;
    const vf* g = g_points + 3 * j;
    const vf b[3] = {rest[3 * j] - rest[3 * p], rest[3 * j + 1] - rest[3 * p + 1], rest[3 * j + 2] - rest[3 * p + 2]};
    vf turn[9];
    multiply_tn(W, g_world + 9 * j, turn);
    for (int i = 0; i < 9; ++i) g_local[9 * j + i] += turn[i];
    add_multiply_nt(g_world + 9 * j, local + 9 * j, g_world + 9 * p);
    for (int i = 0; i < 3; ++i) {
      g_points[3 * p + i] += g[i];
      for (int k = 0; k < 3; ++k) g_world[9 * p + 3 * i + k] += g[i] * b[k];
      const vf back = W[i] * g[0] + W[3 + i] * g[1] + W[6 + i] * g[2];
      g_shaped[3 * j + i] += back;
      g_shaped[3 * p + i] -= back;
    }
  }
  for (int i = 0; i < 9; ++i) g_local[i] += g_world[i];
  for (int i = 0; i < 3; ++i) g_shaped[i] += g_points[i];
  affine(template_map_t, C, 3 * (J + V), g_shaped, gx + first_shape, false, true);

  for (int k = 0; k < n_angles; ++k) rodrigues_gradient(angles + 3 * k, g_local + 9 * (first_angle + k), g_angles + 3 * k);
  affine(angle_map_t, D, 3 * n_angles, g_angles, gx, false, true);
  vf to_turn[9] = {};
  add_multiply_nt(g_local, root_start, to_turn);
  vf to_vector[3];
  rodrigues_gradient(xs + first_orient, to_turn, to_vector);
  for (int i = 0; i < 3; ++i) gx[first_orient + i] += to_vector[i];
  for (int r = 0; r < LANES; ++r) for (int i = 0; i < 3; ++i)
    gx[first_translation + i][r] += to_offset[i][r] * origin[(size_t)batch_row[r] * 3 + 2];

  for (int j = 0; j < n_body; ++j) {
    const vf* G = g_local + 9 * (1 + j);
    vf to_turned[9], to_decoded[9] = {};
    if (mode == 3) {
      multiply_tn(decoded + 9 * j, G, to_turned);
      add_multiply_nt(G, turned + 9 * j, to_decoded);
    } else for (int i = 0; i < 9; ++i) to_turned[i] = to_decoded[i] = G[i];
    if (mode == 1 || mode == 3) rodrigues_gradient(turns + 3 * j, to_turned, g_turns + 3 * j);
    if (mode >= 2) {
      const vf* s = six + 6 * j;
      const vf* R = decoded + 9 * j;
      const vf* T = to_decoded;
      const vf a[3] = {R[0], R[3], R[6]}, b[3] = {R[1], R[4], R[7]};
      vf ga[3] = {T[0], T[3], T[6]}, gb[3] = {T[1], T[4], T[7]};
      const vf gc[3] = {T[2], T[5], T[8]};
      // c = a x b
      ga[0] += b[1] * gc[2] - b[2] * gc[1]; ga[1] += b[2] * gc[0] - b[0] * gc[2]; ga[2] += b[0] * gc[1] - b[1] * gc[0];
      gb[0] += gc[1] * a[2] - gc[2] * a[1]; gb[1] += gc[2] * a[0] - gc[0] * a[2]; gb[2] += gc[0] * a[1] - gc[1] * a[0];
      const vf tiny = zero + 1e-24f;
      const vf square = s[0] * s[0] + s[2] * s[2] + s[4] * s[4];
      const vf scale = 1.0f / square_root(square > tiny ? square : tiny);
      const vf dot = a[0] * s[1] + a[1] * s[3] + a[2] * s[5];
      const vf u[3] = {s[1] - dot * a[0], s[3] - dot * a[1], s[5] - dot * a[2]};
      const vf u_square = u[0] * u[0] + u[1] * u[1] + u[2] * u[2];
      const vf u_scale = 1.0f / square_root(u_square > tiny ? u_square : tiny);
      const vf lack = __builtin_elementwise_max(1.0f - u_square / frame_limit, zero);
      const vf to_across = (-4.0f * w_frames / frame_limit) * lack;
      const vf b_gb = b[0] * gb[0] + b[1] * gb[1] + b[2] * gb[2];
      const vf gu[3] = {u_scale * (gb[0] - b_gb * b[0]), u_scale * (gb[1] - b_gb * b[1]), u_scale * (gb[2] - b_gb * b[2])};
      const vf a_gu = a[0] * gu[0] + a[1] * gu[1] + a[2] * gu[2];
      vf* g = g_six + 6 * j;
      for (int i = 0; i < 3; ++i) {
        g[2 * i + 1] = gu[i] - a_gu * a[i] + to_across * u[i];
        ga[i] += -dot * gu[i] - a_gu * s[2 * i + 1];
      }
      const vf a_ga = a[0] * ga[0] + a[1] * ga[1] + a[2] * ga[2];
      for (int i = 0; i < 3; ++i) g[2 * i] = scale * (ga[i] - a_ga * a[i] - to_across * dot * u[i]);
    }
  }
  if (mode == 1 || mode == 3) affine(turn_map_t, 3 * n_body, 3 * n_body, g_turns, gx + turn_start, false, true);
  if (mode >= 2) {
    const vf* g = g_six;
    for (int l = n_layers - 1; l >= 0; --l) {
      vf* to_input = l ? scrap(layer_size[l]) : gx + pose_start;
      affine(layers_t[l], layer_size[l], layer_size[l + 1], g, to_input, false, l == 0);
      if (l) for (int i = 0; i < layer_size[l]; ++i) to_input[i] *= rectified_slope(ws[o_hidden[l - 1] + i]);
      g = to_input;
    }
  }
  for (int f = 0; f < F; ++f) {
    const vf value = gx[free_column[f]];
    for (int r = 0; r < n_lanes; ++r) gradient_out[(size_t)row_of[r] * F + f] = value[r];
  }
}
}

// Gauss-Newton: the residuals' derivatives for all parameters of one row after the other, from the workspace of a
// forward run. The shift of surface points by pose blend shapes is left out.
if (run == GAUSS_NEWTON) {
  const int n_blocks = (F + LANES - 1) / LANES, stride = n_blocks * LANES;
  const int most = 2 * K + 3 * n_lifted + n_body + n_segments + n_hinges + n_extra;
  vf* spare = scratch;
  const auto scrap = [&](int n) { vf* start = spare; spare += n; return start; };
  vf* jacobian = scrap(most * n_blocks);      // [residuals, parameters]
  vf* matrix = scrap(stride * n_blocks);      // [parameters, parameters]
  vf* dx = scrap(D);
  int widest = 0;
  for (int l = 0; l <= n_layers; ++l) if (n_layers && layer_size[l] > widest) widest = layer_size[l];
  vf* factors = scrap(widest * code_blocks);     // of the decoder's hidden units, [units, code]
  vf* of_layers[2] = {scrap(widest * code_blocks), scrap(widest * code_blocks)};  // derivatives of layers for the code
  int* const active = (int*)scrap(widest / LANES + 1);
  vf* dsix = scrap(6 * n_body); vf* dturns = scrap(3 * n_body);
  vf* dangles = scrap(3 * n_angles); vf* dshaped = scrap(3 * (J + V)); vf* spin = scrap(3 * J); vf* turn = scrap(3 * J);
  vf* dposed = scrap(3 * (J + V));
  const int n_skin = skin_start[V];
  float* const w_world = (float*)scrap((9 * J) / LANES + 1);     // of the row: world rotations,
  float* const w_bone = (float*)scrap((3 * J) / LANES + 1);      // bones as they stand,
  float* const w_arm = (float*)scrap((3 * n_skin) / LANES + 1);  // points relative to the joints that move them
  float* const w_jacobians = (float*)scrap((9 * (n_body + n_angles + 1)) / LANES + 1);
  float* const w_decoded = (float*)scrap((9 * n_body) / LANES + 1);
  int* const moving = (int*)scrap(J / LANES + 1);
  const vf zero = {};
  const auto cross = [&](const vf* a, const float* b, vf* c) {  // c = a x b
    c[0] = a[1] * b[2] - a[2] * b[1]; c[1] = a[2] * b[0] - a[0] * b[2]; c[2] = a[0] * b[1] - a[1] * b[0];
  };
  // Left Jacobian of the rotation with the vector v.
  const auto left_jacobian = [&](const float* v, float* M) __attribute__((noinline)) {
    const float square = v[0] * v[0] + v[1] * v[1] + v[2] * v[2];
    float a, b, c;
    if (square < 1e-3f) { a = 1.0f - square / 6; b = 0.5f - square / 24; c = 1.0f / 6 - square / 120; }
    else {
      const float t = ::sqrtf(square);
      a = ::sinf(t) / t; b = (1.0f - ::cosf(t)) / square; c = (1.0f - a) / square;
    }
    for (int i = 0; i < 3; ++i) for (int k = 0; k < 3; ++k) M[3 * i + k] = c * v[i] * v[k] + (i == k ? a : 0.0f);
    M[1] -= b * v[2]; M[2] += b * v[1]; M[3] += b * v[2]; M[5] -= b * v[0]; M[6] -= b * v[1]; M[7] += b * v[0];
  };
  const auto apply = [&](const float* M, const vf* v, vf* out) {
    for (int i = 0; i < 3; ++i) out[i] = M[3 * i] * v[0] + M[3 * i + 1] * v[1] + M[3 * i + 2] * v[2];
  };
  // Derivatives of the decoder's output for the code, of the row whose hidden units are at ``hidden``. Below the kink
  // a unit has the factor ``slope``: what all units of the first layer pass on with it is a constant, second_start.
  const auto decode = [&](const float* hidden) __attribute__((noinline)) {
    const float* reach = first_columns;
    for (int l = 1; l < n_layers; ++l) {
      const float common = l == 1 ? slope : 0.0f;
      int n_active = 0;
      for (int k = 0; k < layer_size[l]; ++k) {
        const float square = slope + (1.0f - slope) * per_rounding * hidden[(size_t)(o_hidden[l - 1] + k) * LANES];
        const float factor = ::sqrtf(square < slope * slope ? slope * slope : square > 1.0f ? 1.0f : square) - common;
        if (factor < 1e-6f) continue;
        for (int z = 0; z < code_blocks; ++z)
          factors[n_active * code_blocks + z] = factor * *(const vu*)(reach + ((size_t)k * code_blocks + z) * LANES);
        active[n_active++] = k;
      }
      vf* const out = of_layers[l % 2];
      const int n_out = layer_size[l + 1], n_in = layer_size[l];
      for (int i = 0; i < n_out; i += 4) {  // four outputs for two vectors of the code
        const float* const w = layers[l] + (size_t)(i / 8) * 8 * n_in + i % 8;
        for (int z = 0; z < code_blocks; z += 2) {
          vf a0 = {}, a1 = {}, a2 = {}, a3 = {}, b0 = {}, b1 = {}, b2 = {}, b3 = {};
          for (int k = 0; k < n_active; ++k) {
            const float* const p = w + (size_t)active[k] * 8;
            const vf x = factors[k * code_blocks + z], y = factors[k * code_blocks + z + 1];
            a0 += p[0] * x; a1 += p[1] * x; a2 += p[2] * x; a3 += p[3] * x;
            b0 += p[0] * y; b1 += p[1] * y; b2 += p[2] * y; b3 += p[3] * y;
          }
          const vf a[4] = {a0, a1, a2, a3}, b[4] = {b0, b1, b2, b3};
          for (int j = 0; j < 4 && i + j < n_out; ++j) {
            const size_t place = (size_t)(i + j) * code_blocks + z;
            out[place] = a[j];
            out[place + 1] = b[j];
            if (l > 1) continue;
            out[place] += *(const vu*)(second_start + place * LANES);
            out[place + 1] += *(const vu*)(second_start + (place + 1) * LANES);
          }
        }
      }
      reach = (const float*)out;
    }
    return reach;
  };
  // out[f + 0..3][g], g from f's block on: += factor times the sum over r < n of in[r][f + 0..3] in[r][g].
  const auto add_products = [&](const vf* in, int n, float factor, int f, vf* out) __attribute__((noinline)) {
    for (int g = f / LANES; g < n_blocks; g += 2) {
      const int second = g + 1 < n_blocks ? 1 : 0;
      vf a0 = {}, a1 = {}, a2 = {}, a3 = {}, b0 = {}, b1 = {}, b2 = {}, b3 = {};
      const vf* q = in + g;
      for (int r = 0; r < n; ++r, q += n_blocks) {
        const float* p = (const float*)(in + (size_t)r * n_blocks) + f;
        const vf x = q[0], y = q[second];
        a0 += p[0] * x; a1 += p[1] * x; a2 += p[2] * x; a3 += p[3] * x;
        b0 += p[0] * y; b1 += p[1] * y; b2 += p[2] * y; b3 += p[3] * y;
      }
      const vf a[4] = {a0, a1, a2, a3}, b[4] = {b0, b1, b2, b3};
      for (int i = 0; i < 4; ++i) {
        vf* const to = out + (size_t)(f + i) * n_blocks + g;
        to[0] += factor * a[i];
        if (second) to[1] += factor * b[i];
      }
    }
  };
  for (int row = 0; row < n_rows; ++row) {
    const float* const w = (const float*)(workspace + (size_t)(row / LANES) * ws_size) + row % LANES;
    const auto primal = [&](int place) { return w[(size_t)place * LANES]; };
    const size_t batch = (size_t)rows[row];
    const float* camera = cameras + 3 * batch;
    int n_residuals = 0;
    for (int i = 0; i < 9 * J; ++i) w_world[i] = primal(o_world + i);
    for (int i = 0; i < 9 * n_body; ++i) w_decoded[i] = primal(o_decoded + i);
    for (int j = 1; j < J; ++j) for (int i = 0; i < 3; ++i)
      w_bone[3 * j + i] = primal(o_places + 3 * j + i) - primal(o_places + 3 * parents[j] + i);
    for (int v = 0; v < V; ++v) for (int e = skin_start[v]; e < skin_start[v + 1]; ++e) {
      const int j = skin_joint[e];
      const float* A = w_world + 9 * j;
      float d[3];
      for (int i = 0; i < 3; ++i) d[i] = primal(o_shaped + 3 * (J + v) + i) - primal(o_shaped + 3 * j + i);
      for (int i = 0; i < 3; ++i) w_arm[3 * e + i] = A[3 * i] * d[0] + A[3 * i + 1] * d[1] + A[3 * i + 2] * d[2];
    }
    const auto jacobian_of = [&](int place, float* M) {
      const float v[3] = {primal(place), primal(place + 1), primal(place + 2)};
      left_jacobian(v, M);
    };
    jacobian_of(o_xs + first_orient, w_jacobians);
    if (mode == 1 || mode == 3) for (int j = 0; j < n_body; ++j) jacobian_of(o_turns + 3 * j, w_jacobians + 9 * (1 + j));
    for (int k = 0; k < n_angles; ++k) jacobian_of(o_angles + 3 * k, w_jacobians + 9 * (1 + n_body + k));
    bool code_moves = false;
    for (int f = 0; f < F; ++f) code_moves |= mode >= 2 && free_column[f] >= pose_start && free_column[f] < turn_start;
    const float* const of_six = code_moves ? decode(w) : nullptr;
    for (int block = 0; block < n_blocks; ++block) {
      bool moves_code = false, moves_turns = false, moves_angles = false, moves_shape = false;
      for (int d = 0; d < D; ++d) dx[d] = zero;
      for (int lane = 0; lane < LANES; ++lane) {
        const int f = block * LANES + lane;
        if (f >= F) break;
        const int d = free_column[f];
        dx[d][lane] = 1.0f;
        const bool in_pose = n_body && d >= pose_start && d < turn_start + (mode == 2 ? 0 : 3 * n_body);
        moves_code |= in_pose && mode >= 2 && d < turn_start;
        moves_turns |= in_pose && d >= turn_start;
        moves_shape |= d >= first_shape && d < first_shape + C;
        moves_angles |= !in_pose && d >= first_shape + C;
      }
      for (int i = 0; i < 3 * J; ++i) turn[i] = zero;
      bool moves_place = false;
      for (int j = 0; j < J; ++j) moving[j] = 0;
      for (int lane = 0; lane < LANES && block * LANES + lane < F; ++lane) {
        const int d = free_column[block * LANES + lane];
        if (d >= first_orient && d < first_orient + 3) moving[0] = 1;
        if (d >= first_translation && d < first_translation + 3) moves_place = true;
      }
      if (moves_code || moves_turns) for (int j = 1; j <= n_body; ++j) moving[j] = 1;
      apply(w_jacobians, dx + first_orient, turn);
      if (moves_code) {
        for (int i = 0; i < 6 * n_body; ++i) dsix[i] = zero;
        for (int lane = 0; lane < LANES && block * LANES + lane < F; ++lane) {
          const int d = free_column[block * LANES + lane];
          if (d < pose_start || d >= turn_start) continue;
          const float* column = of_six + d - pose_start;
          for (int i = 0; i < 6 * n_body; ++i) dsix[i][lane] = column[(size_t)i * code_blocks * LANES];
        }
        for (int j = 0; j < n_body; ++j) {
          float s[6], R[9];
          for (int i = 0; i < 6; ++i) s[i] = primal(o_six + 6 * j + i);
          for (int i = 0; i < 9; ++i) R[i] = w_decoded[9 * j + i];
          const float a[3] = {R[0], R[3], R[6]}, b[3] = {R[1], R[4], R[7]}, c[3] = {R[2], R[5], R[8]};
          const float scale = 1.0f / ::sqrtf(s[0] * s[0] + s[2] * s[2] + s[4] * s[4] + 1e-24f);
          const float dot = a[0] * s[1] + a[1] * s[3] + a[2] * s[5];
          const float u[3] = {s[1] - dot * a[0], s[3] - dot * a[1], s[5] - dot * a[2]};
          const float u_scale = 1.0f / ::sqrtf(u[0] * u[0] + u[1] * u[1] + u[2] * u[2] + 1e-24f);
          const vf* ds = dsix + 6 * j;
          // Turns of the frame (a, b, c) about its own axes.
          const vf about_c = scale * (b[0] * ds[0] + b[1] * ds[2] + b[2] * ds[4]);
          const vf about_b = -scale * (c[0] * ds[0] + c[1] * ds[2] + c[2] * ds[4]);
          const vf about_a = u_scale * ((c[0] * ds[1] + c[1] * ds[3] + c[2] * ds[5]) + dot * about_b);
          for (int i = 0; i < 3; ++i) turn[3 * (1 + j) + i] += a[i] * about_a + b[i] * about_b + c[i] * about_c;
        }
      }
      if (moves_turns) {
        affine(turn_map, 3 * n_body, 3 * n_body, dx + turn_start, dturns, false, false);
        for (int j = 0; j < n_body; ++j) {
          vf t[3];
          apply(w_jacobians + 9 * (1 + j), dturns + 3 * j, t);
          if (mode == 3) {
            vf out[3];
            apply(w_decoded + 9 * j, t, out);
            for (int i = 0; i < 3; ++i) turn[3 * (1 + j) + i] += out[i];
          } else for (int i = 0; i < 3; ++i) turn[3 * (1 + j) + i] += t[i];
        }
      }
      if (moves_angles) {
        affine(angle_map, 3 * n_angles, D, dx, dangles, false, false);
        for (int k = 0; k < n_angles; ++k) {
          vf* const t = turn + 3 * (first_angle + k);
          apply(w_jacobians + 9 * (1 + n_body + k), dangles + 3 * k, t);
          bool any = false;
          for (int i = 0; i < 3; ++i) for (int r = 0; r < LANES; ++r) any |= t[i][r] != 0.0f;
          moving[first_angle + k] |= any;
        }
      }
      if (moves_shape) affine(template_map, 3 * (J + V), C, dx + first_shape, dshaped, false, false);
      // Turns in the world, shifts of joints.
      for (int i = 0; i < 3; ++i) {
        spin[i] = turn[i];
        dposed[i] = dx[first_translation + i] * origin[3 * batch + 2];
        if (moves_shape) dposed[i] += dshaped[i];
      }
      for (int j = 1; j < J; ++j) {
        const int p = parents[j];
        moving[j] |= moving[p];  // a joint moves when it, or one above it, turns
        const float* A = w_world + 9 * p;
        vf out[3];
        if (moving[j]) {
          apply(A, turn + 3 * j, out);
          for (int i = 0; i < 3; ++i) spin[3 * j + i] = spin[3 * p + i] + out[i];
          cross(spin + 3 * p, w_bone + 3 * j, out);
          for (int i = 0; i < 3; ++i) dposed[3 * j + i] = dposed[3 * p + i] + out[i];
        } else for (int i = 0; i < 3; ++i) { spin[3 * j + i] = zero; dposed[3 * j + i] = dposed[3 * p + i]; }
        if (moves_shape) {
          vf d[3];
          for (int i = 0; i < 3; ++i) d[i] = dshaped[3 * j + i] - dshaped[3 * p + i];
          apply(A, d, out);
          for (int i = 0; i < 3; ++i) dposed[3 * j + i] += out[i];
        }
      }
      if (joint_jacobian_out) for (int i = 0; i < 6 * J; ++i) {  // of the joints, then of their turns
        const vf value = i < 3 * J ? dposed[i] : spin[i - 3 * J];
        float* const out = joint_jacobian_out + ((size_t)row * 6 * J + i) * F + block * LANES;
        for (int lane = 0; lane < LANES && block * LANES + lane < F; ++lane) out[lane] = value[lane];
      }
      for (int v = 0; v < V; ++v) {
        vf* out = dposed + 3 * (J + v);
        out[0] = out[1] = out[2] = zero;
        bool moves = moves_shape || moves_place;
        for (int e = skin_start[v]; e < skin_start[v + 1]; ++e) moves |= moving[skin_joint[e]] != 0;
        if (!moves) continue;
        for (int e = skin_start[v]; e < skin_start[v + 1]; ++e) {
          const int j = skin_joint[e];
          const float weight = skin_weight[e];
          vf t[3];
          cross(spin + 3 * j, w_arm + 3 * e, t);
          for (int i = 0; i < 3; ++i) out[i] += weight * (dposed[3 * j + i] + t[i]);
          if (moves_shape) {
            vf q[3];
            for (int i = 0; i < 3; ++i) q[i] = dshaped[3 * (J + v) + i] - dshaped[3 * j + i];
            apply(w_world + 9 * j, q, t);
            for (int i = 0; i < 3; ++i) out[i] += weight * t[i];
          }
        }
      }
      // Residuals.
      int n = 0;
      const auto put = [&](vf value) { jacobian[(size_t)n++ * n_blocks + block] = value; };
      const size_t contour = n_contour ? (size_t)contour_row[batch] * n_contour * 3 : 0;
      for (int k = 0; k < K; ++k) {
        const float weight = keypoint_weights[batch * K + k];
        if (weight == 0.0f) continue;
        vf d[3] = {};
        if (k < n_static) {
          for (int e = static_start[k]; e < static_start[k + 1]; ++e)
            for (int i = 0; i < 3; ++i) d[i] += static_weight[e] * dposed[3 * static_point[e] + i];
        } else {
          for (int e = 0; e < 3; ++e) {
            const size_t place = contour + 3 * (k - n_static) + e;
            for (int i = 0; i < 3; ++i) d[i] += contour_weight[place] * dposed[3 * (J + contour_vertex[place]) + i];
          }
        }
        const float depth = 1.0f / primal(o_keypoints + 3 * k + 2);
        const float u[2] = {primal(o_keypoints + 3 * k) * depth, primal(o_keypoints + 3 * k + 1) * depth};
        for (int i = 0; i < 2; ++i) {
          float factor = weight;
          if (rho > 0.0f) {
            const float error = (u[i] - targets[(batch * K + k) * 4 + i]) * camera[i] * camera[2];
            const float robust = rho * rho / (error * error + rho * rho);
            factor *= robust * robust;
          }
          put((::sqrtf(2.0f * factor) * camera[i] * camera[2] * depth) * (d[i] - u[i] * d[2]));
        }
      }
      for (int s = 0; s < n_segments; ++s) {
        float weight = (s == 0 ? w_tilt : w_stance * stance[batch]) * segment_shape[2 * s + 1];
        if (weight == 0.0f) continue;
        const int a = segments[2 * s], b = segments[2 * s + 1];
        float l[3], square = 0.0f;
        for (int i = 0; i < 3; ++i) {
          l[i] = primal(o_posed + 3 * b + i) - primal(o_posed + 3 * a + i);
          square += l[i] * l[i];
        }
        const float length = 1.0f / ::sqrtf(square), sine = l[2] * length, limit = segment_shape[2 * s];
        const float robust = limit / (sine * sine + limit);
        vf along = zero;
        for (int i = 0; i < 3; ++i) along += (l[i] * length) * (dposed[3 * b + i] - dposed[3 * a + i]);
        put((::sqrtf(2.0f * weight) * robust * length) * ((dposed[3 * b + 2] - dposed[3 * a + 2]) - sine * along));
      }
      if (w_lifting != 0.0f) for (int b = 0; b < n_lifted; ++b) {
        const float* m = precision + (batch * n_lifted + b) * 9;
        vf d[3];
        for (int i = 0; i < 3; ++i) d[i] = dposed[3 * (1 + b) + i] - dposed[i];
        const float factor = ::sqrtf(2.0f * w_lifting);
        for (int i = 0; i < 3; ++i) put(factor * (m[3 * i] * d[0] + m[3 * i + 1] * d[1] + m[3 * i + 2] * d[2]));
      }
      if (w_frames != 0.0f && mode >= 2) for (int j = 0; j < n_body; ++j) {
        float dot = 0.0f, first = 0.0f, square = 0.0f, u[3];
        for (int i = 0; i < 3; ++i) {
          const float a = primal(o_six + 6 * j + 2 * i);
          first += a * a;
          dot += w_decoded[9 * j + 3 * i] * primal(o_six + 6 * j + 2 * i + 1);
        }
        for (int i = 0; i < 3; ++i) {
          u[i] = primal(o_six + 6 * j + 2 * i + 1) - dot * w_decoded[9 * j + 3 * i];
          square += u[i] * u[i];
        }
        if (square >= frame_limit) continue;
        vf along = zero;
        const float turn_of_first = dot / ::sqrtf(first + 1e-24f);
        if (moves_code) for (int i = 0; i < 3; ++i)
          along += u[i] * (dsix[6 * j + 2 * i + 1] - turn_of_first * dsix[6 * j + 2 * i]);
        put((2.0f * ::sqrtf(2.0f * w_frames) / frame_limit) * along);
      }
      if (w_limits != 0.0f) for (int h = 0; h < n_hinges; ++h) {
        const int j = hinges[3 * h], axis = hinges[3 * h + 1], a = (axis + 1) % 3, b = (axis + 2) % 3;
        float R[9];
        for (int i = 0; i < 9; ++i) R[i] = primal(o_local + 9 * j + i);
        const vf* t = turn + 3 * j;
        const auto change = [&](int i, int k) {  // of R[i, k] when the joint turns by t
          return t[(i + 1) % 3] * R[3 * ((i + 2) % 3) + k] - t[(i + 2) % 3] * R[3 * ((i + 1) % 3) + k];
        };
        const float y = R[3 * b + a] - R[3 * a + b], x = R[4 * a] + R[4 * b];
        const float energy = ::expf(2.0f * hinges[3 * h + 2] * ::atan2f(y, x));
        const float factor = ::sqrtf(4.0f * w_limits * energy) / (x * x + y * y);
        put(factor * (x * (change(b, a) - change(a, b)) - y * (change(a, a) + change(b, b))));
      }
      for (int e = 0; e < n_extra; ++e) {
        const float* const of_turns = extra_in + ((size_t)row * n_extra + e) * (9 * J + C);
        const float* const of_places = of_turns + 3 * J;
        const float* const of_rest = of_turns + 6 * J;
        const float* const of_shape = of_turns + 9 * J;
        vf value = zero;
        for (int j = 0; j < J; ++j) for (int i = 0; i < 3; ++i) {
          const int k = 3 * j + i;
          value += of_turns[k] * spin[k] + of_places[k] * (dposed[k] - dposed[i]);
          if (moves_shape) value += of_rest[k] * dshaped[k];
        }
        for (int c = 0; c < C; ++c) value += of_shape[c] * dx[first_shape + c];
        put(value);
      }
      n_residuals = n;
    }
    for (int i = 0; i < stride * n_blocks; ++i) matrix[i] = zero;
    for (int f = 0; f < stride; f += 4) add_products(jacobian, n_residuals, 1.0f, f, matrix);
    float* const H = (float*)matrix;
    for (int f = 0; f < stride; ++f) {
      float& diagonal = H[(size_t)f * stride + f];
      if (f >= F) { diagonal = 1.0f; continue; }
      const int d = free_column[f];
      diagonal += 2.0f * quadratic[d];
      if (d == first_translation + 2) diagonal += 2.0f * w_depth * origin[3 * batch + 2] * origin[3 * batch + 2];
      diagonal = diagonal * (1.0f + damping) + 1e-6f;
    }
    float* const result = matrices_out + (size_t)row * F * F;
    if (joint_jacobian_out) {
      for (int f = 0; f < F; ++f) for (int g = f; g < F; ++g)
        result[(size_t)f * F + g] = result[(size_t)g * F + f] = H[(size_t)f * stride + g];
      continue;
    }
    for (int k = 0; k < stride; k += 4) {  // H = U' U, four rows of U at a time, in the place of H
      add_products(matrix, k, -1.0f, k, matrix);
      for (int i = k; i < k + 4; ++i) {
        const float pivot = H[(size_t)i * stride + i];
        const float factor = 1.0f / ::sqrtf(pivot > 1e-12f ? pivot : 1e-12f);
        vf* const upper = matrix + (size_t)i * n_blocks;
        for (int g = i / LANES; g < n_blocks; ++g) upper[g] *= factor;
        for (int other = i + 1; other < k + 4; ++other) {
          const float c = H[(size_t)i * stride + other];
          for (int g = k / LANES; g < n_blocks; ++g) matrix[(size_t)other * n_blocks + g] -= c * upper[g];
        }
      }
    }
    for (int f = 0; f < F; ++f) for (int g = 0; g < F; ++g)
      result[(size_t)f * F + g] = g < f ? 0.0f : H[(size_t)f * stride + g];
  }
}
