// Body of one native function: one row of a minimisation, from the answer to its question to its next question.
//
// A row asks for an evaluation at a point, or for a new preconditioner where it stands; or it has ended. Its state
// lies at its number, whatever the other active rows are: it takes the same path, to the bit, in any company.
//
// Arguments: thread, P (addresses), I (sizes), W (numbers); native_tables.py has their entries.
typedef real vr __attribute__((vector_size(8 * sizeof(real)), aligned(sizeof(real))));
typedef double vd __attribute__((vector_size(64)));
typedef double vm __attribute__((vector_size(64), aligned(8)));

// DECLARATIONS of arrays, sizes and numbers by their names in native_tables.py.

const double INFINITE = __builtin_inf(), UNKNOWN = __builtin_nan("");
const int place = thread;  // among the active rows
const size_t row = (size_t)rows[place];
const int S = (D + 7) / 8 * 8;  // length of a vector, filled up with zeros
real* const vectors_of_row = vectors + row * N_VECTORS * S;
real* const x = vectors_of_row + X * S;
real* const direction = vectors_of_row + DIRECTION * S;
real* const gradient = vectors_of_row + GRADIENT * S;
real* const low_gradient = vectors_of_row + LOW_GRADIENT * S;  // at the best trial of the line search
real* const product = vectors_of_row + PRODUCT * S;            // of the initial inverse Hessian and the gradient
real* const new_x = vectors_of_row + NEW_X * S;
real* const new_gradient = vectors_of_row + NEW_GRADIENT * S;
real* const new_product = vectors_of_row + NEW_PRODUCT * S;
real* const steps = pairs + row * 3 * H * S;  // of each pair: step, change of the gradient, change of the product
real* const changes = steps + (size_t)H * S;
real* const product_changes = changes + (size_t)H * S;
double* const curvatures = rhos + row * H;  // 1 / (step . change)
const real* const preconditioner = preconditioners + row * (kind == DENSE ? (size_t)D * S : S);
double& step = scalars[STEP * B + row];
double& loss_0 = scalars[LOSS_0 * B + row];
double& slope_0 = scalars[SLOPE_0 * B + row];
double& low_step = scalars[LOW_STEP * B + row];
double& low_loss = scalars[LOW_LOSS * B + row];
double& low_slope = scalars[LOW_SLOPE * B + row];
double& high_step = scalars[HIGH_STEP * B + row];
double& high_loss = scalars[HIGH_LOSS * B + row];
double& high_slope = scalars[HIGH_SLOPE * B + row];
double& promise = scalars[PROMISE * B + row];
double& width = scalars[WIDTH * B + row];
double& older_width = scalars[OLDER_WIDTH * B + row];
double& loss = scalars[LOSS * B + row];
double& largest = scalars[LARGEST * B + row];
double& low_largest = scalars[LOW_LARGEST * B + row];
double& gamma = scalars[GAMMA * B + row];
int& waits_for = counts[WAITS_FOR * B + row];
int& status = counts[STATUS * B + row];
int& trials = counts[TRIALS * B + row];
int& n_iterations = counts[ITERATIONS * B + row];
int& n_evaluations = counts[EVALUATIONS * B + row];
int& idle_steps = counts[IDLE_STEPS * B + row];
int& age = counts[AGE * B + row];  // steps since the preconditioner was made
int& n_pairs = counts[PAIRS * B + row];
int& next_pair = counts[NEXT_PAIR * B + row];

const auto finite = [](double value) { return __builtin_fabs(value) < __builtin_inf(); };
const auto load = [](const real* from) { return __builtin_convertvector(*(const vr*)from, vd); };
const auto total = [](vd v) { return ((v[0] + v[1]) + (v[2] + v[3])) + ((v[4] + v[5]) + (v[6] + v[7])); };
const auto dot = [&](const real* a, const real* b) {
  vd sum = {};
  for (int i = 0; i < S; i += 8) sum += load(a + i) * load(b + i);
  return total(sum);
};
const auto copy = [&](const real* from, real* to) { for (int i = 0; i < S; ++i) to[i] = from[i]; };
const auto clipped = [](double value, double least, double most) { return value < least ? least : value > most ? most : value; };

// out = initial inverse Hessian, without gamma, times v.
const auto precondition = [&](const real* v, real* out) __attribute__((noinline)) {
  if (kind != DENSE) {
    for (int i = 0; i < S; ++i) out[i] = kind == DIAGONAL ? preconditioner[i] * v[i] : v[i];
    return;
  }
  copy(v, out);  // solve U' U out = v; U is zero below its diagonal
  for (int k = 0; k < D; ++k) {
    const real* const upper = preconditioner + (size_t)k * S;
    const real value = out[k] / upper[k];
    for (int i = k / 8 * 8; i < S; i += 8) *(vr*)(out + i) -= value * *(const vr*)(upper + i);
    out[k] = value;
  }
  for (int k = D - 1; k >= 0; --k) {
    const real* const upper = preconditioner + (size_t)k * S;
    vr sum = {};
    const real value = out[k];
    out[k] = 0;
    for (int i = k / 8 * 8; i < S; i += 8) sum += *(const vr*)(upper + i) * *(const vr*)(out + i);
    out[k] = (value - (((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7])))) / upper[k];
  }
};
const auto forget_pairs = [&] { n_pairs = next_pair = 0; gamma = 1.0; };
// A pair without clearly positive curvature is left out, so that the matrix stays positive definite.
const auto keep_pair = [&] {
  real* const s = steps + (size_t)next_pair * S;
  real* const y = changes + (size_t)next_pair * S;
  real* const p = product_changes + (size_t)next_pair * S;
  double sy = 0.0, ss = 0.0, yy = 0.0, plain_yy = 0.0;
  {
    vd a = {}, b = {}, c = {}, d = {};
    for (int i = 0; i < S; i += 8) {
      const vd si = load(new_x + i) - load(x + i), yi = load(new_gradient + i) - load(gradient + i);
      const vd pi = load(new_product + i) - load(product + i);
      a += si * yi; b += si * si; c += yi * pi; d += yi * yi;
    }
    sy = total(a); ss = total(b); yy = total(c); plain_yy = total(d);
  }
  if (!(sy > epsilon * __builtin_sqrt(ss * plain_yy) && yy > 0.0 && finite(sy / yy))) return;
  for (int i = 0; i < S; ++i) {
    s[i] = new_x[i] - x[i];
    y[i] = new_gradient[i] - gradient[i];
    p[i] = new_product[i] - product[i];
  }
  curvatures[next_pair] = 1.0 / sy;
  gamma = sy / yy;
  next_pair = (next_pair + 1) % H;
  if (n_pairs < H) ++n_pairs;
};
// direction = minus the inverse Hessian times the gradient, by the two loops of Nocedal & Wright, algorithm 7.4. The
// product of the initial matrix with the first loop's result is put together from those that are known.
const auto descend = [&]() __attribute__((noinline)) {
  double* const q = scratch;
  double* const r = q + S;
  double* const alphas = r + S;
  const auto at = [](double* v, int i) -> vm& { return *(vm*)(v + i); };
  for (int i = 0; i < S; i += 8) { at(q, i) = load(gradient + i); at(r, i) = load(product + i); }
  for (int k = 1; k <= n_pairs; ++k) {
    const int pair = (next_pair - k + H) % H;
    const real* const s = steps + (size_t)pair * S;
    const real* const y = changes + (size_t)pair * S;
    const real* const p = product_changes + (size_t)pair * S;
    vd sum = {};
    for (int i = 0; i < S; i += 8) sum += load(s + i) * at(q, i);
    const double alpha = alphas[pair] = curvatures[pair] * total(sum);
    for (int i = 0; i < S; i += 8) { at(q, i) -= alpha * load(y + i); at(r, i) -= alpha * load(p + i); }
  }
  for (int i = 0; i < S; i += 8) at(r, i) *= gamma;
  for (int k = n_pairs; k >= 1; --k) {
    const int pair = (next_pair - k + H) % H;
    const real* const s = steps + (size_t)pair * S;
    const real* const y = changes + (size_t)pair * S;
    vd sum = {};
    for (int i = 0; i < S; i += 8) sum += load(y + i) * at(r, i);
    const double change = alphas[pair] - curvatures[pair] * total(sum);
    for (int i = 0; i < S; i += 8) at(r, i) += change * load(s + i);
  }
  for (int i = 0; i < S; ++i) direction[i] = (real)-r[i];
};

// Minimiser of the cubic with the given losses and slopes at two steps; Nocedal & Wright, equation 3.59.
const auto cubic_minimizer = [&](double t0, double f0, double g0, double t1, double f1, double g1) {
  const double span = t1 - t0, d1 = g0 + g1 + 3.0 * (f0 - f1) / span;
  const double d2 = (span > 0.0 ? 1.0 : span < 0.0 ? -1.0 : 0.0) * __builtin_sqrt(d1 * d1 - g0 * g1);
  return t1 - span * (g1 + d2 - d1) / (g1 - g0 + 2.0 * d2);
};
bool accepted = false, stopped = false, unresolved = false, improved = false;
// The line search of line_search.py for one trial: set the flags above and the next step.
const auto advance_search = [&](double trial_loss, double slope) __attribute__((noinline)) {
  const bool is_finite = finite(trial_loss) && finite(slope);
  if (!is_finite) trial_loss = INFINITE;
  const double sizes[2] = {__builtin_fabs(loss_0), __builtin_fabs(low_loss)};
  const double resolution = epsilon * (sizes[0] > sizes[1] ? sizes[0] : sizes[1]);
  double decrease = -armijo * step * slope_0;
  if (decrease < resolution) decrease = 0.0;
  const double noise = loss_noise * __builtin_fabs(loss_0);
  const bool unclear = promise <= CLEAR * noise;
  // The model may promise far more than there is to gain up to a trial that is flat. Both losses have errors.
  const bool flat = __builtin_fabs(slope) <= -curvature * slope_0;
  const double gain = __builtin_fabs(low_slope * (step - low_step));
  const double rise = unclear ? noise : flat && gain <= CLEAR * noise ? 2.0 * noise : -decrease;
  const bool lower = is_finite && trial_loss <= loss_0 + rise;
  accepted = lower && flat;
  improved = lower && !accepted && (trial_loss < low_loss || low_step == 0.0);

  const double previous[3] = {low_step, low_loss, low_slope};
  if (improved) {
    if (slope * (high_step - low_step) >= 0.0) { high_step = low_step; high_loss = low_loss; high_slope = low_slope; }
    low_step = step; low_loss = trial_loss; low_slope = slope;
  } else { high_step = step; high_loss = trial_loss; high_slope = slope; }

  ++trials;
  const double before_last = older_width;
  older_width = width;
  width = __builtin_fabs(high_step - low_step);
  const bool exhausted = unclear ? trials >= UNCLEAR_TRIALS : __builtin_fabs(low_slope) * width <= RESOLUTION * resolution;
  stopped = !accepted && (trials >= max_line_search || exhausted);
  // A direction uphill, as of an indefinite matrix, promises a rise: that says nothing about a minimum.
  const double left = LEFT * (noise > RESOLUTION * resolution ? noise : RESOLUTION * resolution);
  unresolved = stopped && promise >= 0.0 && promise <= left;
  if (!finite(width)) {  // beyond the last step
    const double stride = low_step - previous[0];
    const double next = cubic_minimizer(previous[0], previous[1], previous[2], low_step, low_loss, low_slope);
    step = clipped(finite(next) ? next : low_step + EXPAND_DEFAULT * stride,
                   low_step + EXPAND_MIN * stride, low_step + EXPAND_MAX * stride);
    return;
  }
  const double span = high_step - low_step;
  double share = (cubic_minimizer(low_step, low_loss, low_slope, high_step, high_loss, high_slope) - low_step) / span;
  const bool lazy = finite(before_last) && width > ENOUGH_SHRINKAGE * before_last;
  share = !(share == share) || lazy ? 0.5 : clipped(share, MARGIN, 1.0 - MARGIN);
  if (!finite(high_loss)) share = RETREAT;
  step = low_step + share * span;
};

const auto end = [&](int reason) { status = reason; waits_for = NOTHING; };
const auto apply_limits = [&] {
  if (status == RUNNING && (n_iterations >= max_iterations || n_evaluations >= max_evaluations)) end(MAX_ITERATIONS);
};
const auto ask_for_evaluation = [&] {
  real* const to = questions + (size_t)place * D;
  for (int i = 0; i < D; ++i) to[i] = x[i] + (real)step * direction[i];
  waits_for = EVALUATION;
};
const auto ask_for_preconditioner = [&] {
  real* const to = questions + (size_t)place * D;
  for (int i = 0; i < D; ++i) to[i] = x[i];
  waits_for = PRECONDITIONER;
};
// Choose the direction and the first step, which is 1 once there are pairs; end where the model promises too little.
const auto start_search = [&] {
  if (renew_every > 0 && age >= renew_every && renews) return ask_for_preconditioner();
  descend();
  double slope = dot(direction, gradient);
  if (predicted_tolerance > 0.0 && slope < 0.0 && -0.5 * slope <= predicted_tolerance * __builtin_fabs(loss)) {
    if (renews && age > FRESH) return ask_for_preconditioner();
    return end(CONVERGED);
  }
  if (!(slope < 0.0)) {
    forget_pairs();
    for (int i = 0; i < S; ++i) direction[i] = -product[i];
    slope = -dot(product, gradient);
  }
  step = 1.0;
  if (!renews && n_pairs == 0) {  // L1 norm of the gradient in the variables where the initial matrix is the identity
    double norm = 0.0;
    for (int i = 0; i < D; ++i) norm += __builtin_sqrt((double)gradient[i] * product[i]);
    step = norm > 1.0 ? 1.0 / norm : 1.0;
  }
  loss_0 = low_loss = loss; slope_0 = low_slope = slope; low_step = 0.0;
  high_step = high_loss = width = older_width = INFINITE; high_slope = UNKNOWN;
  trials = 0; promise = -slope * step;
  ask_for_evaluation();
};
// Without a lower loss a row begins anew once, without pairs and with a new preconditioner. If that does not help, it
// has converged where the loss cannot show what is left, else failed.
const auto handle_stuck = [&] {
  const bool last_try = renews ? n_pairs == 0 && age == 0 : n_pairs == 0 || unresolved;
  if (last_try) return end(unresolved ? CONVERGED : LINE_SEARCH_FAILED);
  forget_pairs();
  if (renews) return ask_for_preconditioner();
  start_search();
};

if (waits_for == PRECONDITIONER) {
  if (!made_preconditioners) return;
  forget_pairs();
  precondition(gradient, product);
  age = 0;
  return start_search();
}
if (waits_for != EVALUATION || made_preconditioners) return;

const real* const answer = gradients + (size_t)place * D;
double answer_loss = (double)losses[place], answer_largest = 0.0;
bool all_finite = true;
for (int i = 0; i < D; ++i) {
  new_gradient[i] = answer[i];
  const double size = __builtin_fabs((double)answer[i]);
  all_finite = all_finite && size < INFINITE;
  if (size > answer_largest) answer_largest = size;
}
++n_evaluations;
if (n_evaluations == 1) {  // at the start point
  copy(new_gradient, gradient);
  copy(new_gradient, low_gradient);
  loss = answer_loss;
  largest = low_largest = answer_largest;
  if (!all_finite || !finite(loss)) return end(NON_FINITE);
  if (largest <= gradient_tolerance) return end(CONVERGED);
  apply_limits();
  if (status != RUNNING) return;
  if (renews) return ask_for_preconditioner();
  precondition(gradient, product);
  return start_search();
}
const double trial_step = step;
advance_search(all_finite ? answer_loss : UNKNOWN, dot(new_gradient, direction));
if (improved) { copy(new_gradient, low_gradient); low_largest = answer_largest; }
const bool ended = stopped || (!accepted && n_evaluations >= max_evaluations);
const bool settled = ended && low_step > 0.0;
if (!accepted && !ended) return ask_for_evaluation();
if (accepted || settled) {
  const real taken = (real)(settled ? low_step : trial_step);
  if (settled) { copy(low_gradient, new_gradient); answer_loss = low_loss; answer_largest = low_largest; }
  for (int i = 0; i < S; ++i) new_x[i] = x[i] + taken * direction[i];
  precondition(new_gradient, new_product);
  keep_pair();
  copy(new_x, x); copy(new_gradient, gradient); copy(new_product, product);
  ++age;
  ++n_iterations;
  const double sizes[2] = {__builtin_fabs(loss), __builtin_fabs(answer_loss)};
  double size = sizes[0] > sizes[1] ? sizes[0] : sizes[1];
  if (size < SMALLEST) size = SMALLEST;
  idle_steps = (loss - answer_loss) / size <= relative_loss_tolerance ? idle_steps + 1 : 0;
  loss = answer_loss;
  largest = answer_largest;
  if (idle_steps >= patience || largest <= gradient_tolerance) end(CONVERGED);
}
apply_limits();
if (status != RUNNING) return;
if (accepted || settled) return start_search();
handle_stuck();
