/* Trains and evaluates one network on one thread: forwards, backwards and descent.
 *
 * A network is a list of operations in the order in which they run (graphbo.training.graph). Results
 * are batch x height x width x channels; channels are filled up with zeros to whole vectors, and a
 * vector of features is an image of one pixel. All that one step touches stays in the cache, which
 * is what makes this faster than running several small networks side by side.
 *
 * REAL is the type of all numbers. It is called by graphbo.training.native, which knows the layout
 * of the integers that describe an operation.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifndef REAL
#define REAL float
#endif

typedef REAL real;
#define BYTES 64
#define LANES ((int)(BYTES / sizeof(real)))
typedef real vec __attribute__((vector_size(BYTES)));
/* Integers as wide as the numbers: what comparisons of vectors give. */
typedef __typeof__((vec){0} < (vec){0}) mask;
#define INLINE static inline __attribute__((always_inline))

enum kind {
    IMAGES, CONVOLUTION, NORM, RELU, AVERAGE, MAXIMUM, MEAN, FLATTEN, NARROW, SUM, JOIN, ZEROS,
    LINEAR, OUTPUT
};

/* How an operation is described: `FIELDS` integers. Offsets are into the caller's flat tensors of
 * parameters and buffers; -1 where there is none. */
enum field {
    KIND, FIRST_INPUT, INPUTS, CHANNELS, HEIGHT, WIDTH, KERNEL_H, KERNEL_W, STRIDE_H, STRIDE_W,
    PADDING_H, PADDING_W, DILATION_H, DILATION_W, WEIGHT, BIAS, NORM_WEIGHT, NORM_BIAS, NORM_MEAN,
    NORM_VARIANCE, RECTIFIED, OPTION, FIELDS
};

typedef struct {
    int64_t outer;  /* where the caller keeps it */
    int64_t inner;  /* where it is kept here, -1 if there is none */
} place;

typedef struct {
    int *first, *at;  /* where the terms of each sum begin, and where each term is */
    real *share;
} sums;

typedef struct {
    int kind, inputs, *input;
    int c, h, w, vectors;  /* shape of the result; vectors of channels */
    int kh, kw, sh, sw, ph, pw, dh, dw;
    int rectified, option;
    real eps, momentum;
    place weight, bias, norm_weight, norm_bias, norm_mean, norm_variance;
    real *x, *gradient;  /* of the result */
    int known;           /* whether anything was added to the gradient */
    real *before;        /* what the norm reads */
    real *mean, *scale;  /* of the batch, for the norm */
    int32_t *where;      /* of the maxima */
    sums over, under;    /* of an average pooling: forwards and backwards */
    int *base, *tap;     /* offsets of pixels and kernel entries in the padded input */
    int *base_back, *tap_back;  /* the same in the padded and spread gradient */
    real *turned;        /* the kernel with inputs and outputs exchanged */
    int padded_h, padded_w, spread_h, spread_w;
} operation;

typedef struct {
    int operations, batch;
    operation *op;
    int64_t parameters, statistics;
    real *weights, *gradients, *momentum, *buffers;
    real *padded;
} network;

/* Put zeros where the mask is set. */
INLINE vec without(vec x, mask gone) { return (vec)((mask)x & ~gone); }

static void *claim(size_t count, size_t size) {
    size_t bytes = (count * size + BYTES - 1) / BYTES * BYTES;
    void *memory = aligned_alloc(BYTES, bytes ? bytes : BYTES);
    if (memory) memset(memory, 0, bytes ? bytes : BYTES);
    return memory;
}

static int vectors_of(int channels) { return (channels + LANES - 1) / LANES; }
static int width_of(const operation *o) { return o->vectors * LANES; }
static int64_t pixels_of(const operation *o) { return (int64_t)o->h * o->w; }
static int64_t size_of(const operation *o) { return pixels_of(o) * width_of(o); }

/* Convolution ------------------------------------------------------------------------------- */

/* Compute one vector of channels of `n` pixels: n is a constant wherever this is inlined. */
INLINE void pixels(int n, const real *in, const int *base, const int *tap, int taps, int inside,
                   const real *kernel, int stride, real *out, int outside, int add) {
    vec sum[12];
    for (int p = 0; p < n; p++)
        sum[p] = add ? *(const vec *)(out + (int64_t)p * outside) : (vec){0};
    for (int t = 0; t < taps; t++) {
        const real *from = in + tap[t];
        for (int c = 0; c < inside; c++) {
            const vec k = *(const vec *)kernel;
            kernel += stride;
            for (int p = 0; p < n; p++) {
                const real value = from[base[p] + c];
                sum[p] += k * value;
            }
        }
    }
    for (int p = 0; p < n; p++) *(vec *)(out + (int64_t)p * outside) = sum[p];
}

/* out[p] (+)= sum over t, c of in[base[p] + tap[t] + c] * kernel[t, c], for all pixels of an image. */
static void convolve(const real *in, const int *base, int count, const int *tap, int taps,
                     int inside, const real *kernel, int vectors, real *out, int add) {
    const int outside = vectors * LANES;
    for (int v = 0; v < vectors; v++) {
        int p = 0;
#define RUN(N)                                                                                     \
    for (; p + N <= count; p += N)                                                                 \
        pixels(N, in, base + p, tap, taps, inside, kernel + v * LANES, outside,                    \
               out + (int64_t)p * outside + v * LANES, outside, add);
        RUN(12) RUN(8) RUN(4) RUN(2) RUN(1)
#undef RUN
    }
}

INLINE void channels(int n, const real *in, const int *base, int count, const real *gradient,
                     int outside, real *into) {
    vec sum[16];
    for (int c = 0; c < n; c++) sum[c] = *(const vec *)(into + (int64_t)c * outside);
    for (int p = 0; p < count; p++) {
        const vec g = *(const vec *)(gradient + (int64_t)p * outside);
        const real *from = in + base[p];
        for (int c = 0; c < n; c++) sum[c] += g * from[c];
    }
    for (int c = 0; c < n; c++) *(vec *)(into + (int64_t)c * outside) = sum[c];
}

/* into[t, c] += sum over p of in[base[p] + tap[t] + c] * gradient[p], for one image. */
static void correlate(const real *in, const int *base, int count, const int *tap, int taps,
                      int inside, const real *gradient, int vectors, real *into) {
    const int outside = vectors * LANES;
    for (int t = 0; t < taps; t++)
        for (int v = 0; v < vectors; v++) {
            int c = 0;
#define RUN(N)                                                                                     \
    for (; c + N <= inside; c += N)                                                                \
        channels(N, in + tap[t] + c, base, count, gradient + v * LANES, outside,                   \
                 into + (int64_t)(t * inside + c) * outside + v * LANES);
            RUN(16) RUN(8) RUN(4) RUN(2) RUN(1)
#undef RUN
        }
}

static int is_padded(const operation *o) { return o->ph || o->pw; }

/* Return an image of the input with its border of zeros. */
static const real *padded(const network *net, const operation *o, const operation *in, int image) {
    const real *from = in->x + image * size_of(in);
    if (!is_padded(o)) return from;
    const int width = width_of(in);
    for (int y = 0; y < in->h; y++)
        memcpy(net->padded + ((int64_t)(y + o->ph) * o->padded_w + o->pw) * width,
               from + (int64_t)y * in->w * width, (size_t)in->w * width * sizeof(real));
    return net->padded;
}

static int is_pointwise(const operation *o) {
    return o->kh == 1 && o->kw == 1 && o->sh == 1 && o->sw == 1 && !is_padded(o);
}

/* Return the gradient of an image with its pixels spread by the stride, so that a convolution of
 * it is the gradient of the input. */
static const real *spread(const network *net, const operation *o, int image) {
    const real *from = o->gradient + image * size_of(o);
    if (is_pointwise(o)) return from;
    const int width = width_of(o);
    for (int y = 0; y < o->h; y++) {
        const int row = o->dh * (o->kh - 1) - o->ph + y * o->sh;
        if (row < 0 || row >= o->spread_h) continue;
        for (int x = 0; x < o->w; x++) {
            const int column = o->dw * (o->kw - 1) - o->pw + x * o->sw;
            if (column < 0 || column >= o->spread_w) continue;
            memcpy(net->padded + ((int64_t)row * o->spread_w + column) * width,
                   from + ((int64_t)y * o->w + x) * width, (size_t)width * sizeof(real));
        }
    }
    return net->padded;
}

static real *gradient_of(operation *o, int batch) {
    if (!o->known) memset(o->gradient, 0, (size_t)batch * size_of(o) * sizeof(real));
    o->known = 1;
    return o->gradient;
}

static void clear_padded(const network *net, int64_t count) {
    memset(net->padded, 0, (size_t)count * sizeof(real));
}

static void convolution_forward(const network *net, const operation *o, int batch, real *out) {
    const operation *in = net->op + o->input[0];
    const int count = (int)pixels_of(o), taps = o->kh * o->kw;
    if (is_padded(o)) clear_padded(net, (int64_t)o->padded_h * o->padded_w * width_of(in));
    for (int i = 0; i < batch; i++) {
        real *to = out + i * size_of(o);
        if (o->bias.inner >= 0)
            for (int p = 0; p < count; p++)
                memcpy(to + (int64_t)p * width_of(o), net->weights + o->bias.inner,
                       (size_t)width_of(o) * sizeof(real));
        convolve(padded(net, o, in, i), o->base, count, o->tap, taps, in->c,
                 net->weights + o->weight.inner, o->vectors, to, o->bias.inner >= 0);
    }
}

static void convolution_backward(const network *net, operation *o, int batch) {
    operation *in = net->op + o->input[0];
    const int count = (int)pixels_of(o), taps = o->kh * o->kw, width = width_of(o);
    if (is_padded(o)) clear_padded(net, (int64_t)o->padded_h * o->padded_w * width_of(in));
    for (int i = 0; i < batch; i++)
        correlate(padded(net, o, in, i), o->base, count, o->tap, taps, in->c,
                  o->gradient + i * size_of(o), o->vectors, net->gradients + o->weight.inner);
    if (o->bias.inner >= 0) {
        real *bias = net->gradients + o->bias.inner;
        for (int64_t p = 0; p < (int64_t)batch * count; p++)
            for (int c = 0; c < o->c; c++) bias[c] += o->gradient[p * width + c];
    }
    if (in->kind == IMAGES) return;
    const real *kernel = net->weights + o->weight.inner;
    const int inside = width_of(in);
    for (int t = 0; t < taps; t++)
        for (int k = 0; k < o->c; k++)
            for (int c = 0; c < in->c; c++)
                o->turned[((int64_t)(taps - 1 - t) * o->c + k) * inside + c] =
                    kernel[((int64_t)t * in->c + c) * width + k];
    if (!is_pointwise(o)) clear_padded(net, (int64_t)o->spread_h * o->spread_w * width);
    real *to = gradient_of(in, batch);
    for (int i = 0; i < batch; i++)
        convolve(spread(net, o, i), o->base_back, (int)pixels_of(in), o->tap_back, taps, o->c,
                 o->turned, in->vectors, to + i * size_of(in), 1);
}

/* Norm -------------------------------------------------------------------------------------- */

static int norm_forward(const network *net, const operation *o, int batch, const real *in) {
    const int64_t each = pixels_of(o), n = batch * each;
    const int width = width_of(o);
    if (n == 1) return -1;
    for (int v = 0; v < o->vectors; v++) {
        vec mean = {0}, square = {0};
        for (int i = 0; i < batch; i++) {
            vec sum = {0};
            for (int64_t p = i * each; p < (i + 1) * each; p++)
                sum += *(const vec *)(in + p * width + v * LANES);
            mean += sum;
        }
        mean /= (real)n;
        for (int i = 0; i < batch; i++) {
            vec sum = {0};
            for (int64_t p = i * each; p < (i + 1) * each; p++) {
                const vec distance = *(const vec *)(in + p * width + v * LANES) - mean;
                sum += distance * distance;
            }
            square += sum;
        }
        square /= (real)n;
        vec scale;
        for (int l = 0; l < LANES; l++) scale[l] = 1 / (real)sqrt((double)(square[l] + o->eps));
        *(vec *)(o->mean + v * LANES) = mean;
        *(vec *)(o->scale + v * LANES) = scale;
        vec *running = (vec *)(net->buffers + o->norm_mean.inner + v * LANES);
        *running += (mean - *running) * o->momentum;
        running = (vec *)(net->buffers + o->norm_variance.inner + v * LANES);
        *running += (square * ((real)n / (real)(n - 1)) - *running) * o->momentum;
        const vec weight = scale * *(const vec *)(net->weights + o->norm_weight.inner + v * LANES);
        const vec bias = *(const vec *)(net->weights + o->norm_bias.inner + v * LANES);
        for (int64_t p = 0; p < n; p++) {
            vec out = (*(const vec *)(in + p * width + v * LANES) - mean) * weight + bias;
            if (o->rectified) out = without(out, out < 0);
            *(vec *)(o->x + p * width + v * LANES) = out;
        }
    }
    return 0;
}

static void norm_evaluated(const network *net, const operation *o, int batch, const real *in) {
    const int width = width_of(o);
    for (int v = 0; v < o->vectors; v++) {
        vec scale = *(const vec *)(net->weights + o->norm_weight.inner + v * LANES);
        const real *variance = net->buffers + o->norm_variance.inner + v * LANES;
        for (int l = 0; l < LANES; l++) scale[l] /= (real)sqrt((double)(variance[l] + o->eps));
        const vec mean = *(const vec *)(net->buffers + o->norm_mean.inner + v * LANES);
        const vec bias = *(const vec *)(net->weights + o->norm_bias.inner + v * LANES) - mean * scale;
        for (int64_t p = 0; p < batch * pixels_of(o); p++) {
            vec out = *(const vec *)(in + p * width + v * LANES) * scale + bias;
            if (o->rectified) out = without(out, out < 0);
            *(vec *)(o->x + p * width + v * LANES) = out;
        }
    }
}

/* Turn the gradient of the result into that of what the norm read, written or added to `to`. */
static void norm_backward(const network *net, operation *o, int batch, const real *in, real *to,
                          int add) {
    const int64_t n = batch * pixels_of(o);
    const int width = width_of(o);
    for (int v = 0; v < o->vectors; v++) {
        const vec mean = *(const vec *)(o->mean + v * LANES);
        const vec scale = *(const vec *)(o->scale + v * LANES);
        vec by_bias = {0}, by_weight = {0};
        for (int64_t p = 0; p < n; p++) {
            const int64_t at = p * width + v * LANES;
            vec g = *(const vec *)(o->gradient + at);
            if (o->rectified) {
                g = without(g, *(const vec *)(o->x + at) <= 0);
                *(vec *)(o->gradient + at) = g;
            }
            by_bias += g;
            by_weight += g * ((*(const vec *)(in + at) - mean) * scale);
        }
        *(vec *)(net->gradients + o->norm_bias.inner + v * LANES) += by_bias;
        *(vec *)(net->gradients + o->norm_weight.inner + v * LANES) += by_weight;
        const vec factor = scale * *(const vec *)(net->weights + o->norm_weight.inner + v * LANES);
        const vec shift = by_bias / (real)n, slope = by_weight * scale / (real)n;
        for (int64_t p = 0; p < n; p++) {
            const int64_t at = p * width + v * LANES;
            const vec distance = *(const vec *)(in + at) - mean;
            const vec g = factor * (*(const vec *)(o->gradient + at) - shift - distance * slope);
            *(vec *)(to + at) = add ? *(const vec *)(to + at) + g : g;
        }
    }
}

/* Pooling ----------------------------------------------------------------------------------- */

typedef struct { int y0, y1, x0, x1; real share; } window;

/* Return the pixels that a pooled pixel covers, and the share of each in an average. */
static window covered(const operation *o, const operation *in, int y, int x) {
    int y0 = y * o->sh - o->ph, x0 = x * o->sw - o->pw;
    int y1 = y0 + o->kh, x1 = x0 + o->kw;
    if (y1 > in->h + o->ph) y1 = in->h + o->ph;
    if (x1 > in->w + o->pw) x1 = in->w + o->pw;
    const int whole = (y1 - y0) * (x1 - x0);
    if (y0 < 0) y0 = 0;
    if (x0 < 0) x0 = 0;
    if (y1 > in->h) y1 = in->h;
    if (x1 > in->w) x1 = in->w;
    const int inside = (y1 - y0) * (x1 - x0);
    return (window){y0, y1, x0, x1, 1 / (real)(o->option ? whole : inside)};
}

/* Write down for each pixel of `to` which pixels of `from` it is the weighted sum of: those that it
 * covers, or on the way back those that cover it. */
static int averaged(sums *s, const operation *o, const operation *in, int back) {
    const int64_t pooled = pixels_of(o), count = back ? pixels_of(in) : pooled;
    const int64_t most = pooled * o->kh * o->kw;
    s->first = claim((size_t)count + 1, sizeof(int));
    s->at = claim((size_t)most, sizeof(int));
    s->share = claim((size_t)most, sizeof(real));
    if (!s->first || !s->at || !s->share) return -1;
    int used = 0;
    for (int64_t p = 0; p < count; p++) {
        s->first[p] = used;
        for (int64_t q = back ? 0 : p; q < (back ? pooled : p + 1); q++) {
            const window win = covered(o, in, (int)(q / o->w), (int)(q % o->w));
            for (int r = win.y0; r < win.y1; r++)
                for (int c = win.x0; c < win.x1; c++) {
                    const int pixel = r * in->w + c;
                    if (back && pixel != p) continue;
                    s->at[used] = (back ? (int)q : pixel) * width_of(in);
                    s->share[used++] = win.share;
                }
        }
    }
    s->first[count] = used;
    return 0;
}

static void average(const sums *s, int count, int vectors, const real *from, real *to, int add) {
    for (int p = 0; p < count; p++)
        for (int v = 0; v < vectors; v++) {
            real *into = to + ((int64_t)p * vectors + v) * LANES;
            vec sum = {0};
            for (int k = s->first[p]; k < s->first[p + 1]; k++)
                sum += *(const vec *)(from + s->at[k] + v * LANES) * s->share[k];
            *(vec *)into = add ? *(vec *)into + sum : sum;
        }
}

static void maximum_forward(const operation *o, const operation *in, int batch) {
    const int width = width_of(o);
    for (int i = 0; i < batch; i++)
        for (int y = 0; y < o->h; y++)
            for (int x = 0; x < o->w; x++) {
                const window win = covered(o, in, y, x);
                const int64_t at = i * size_of(o) + ((int64_t)y * o->w + x) * width;
                real *best = o->x + at;
                int32_t *where = o->where + at;
                const int32_t first = (int32_t)((win.y0 * in->w + win.x0) * width);
                for (int c = 0; c < width; c++) {
                    best[c] = -INFINITY;
                    where[c] = first;
                }
                for (int r = win.y0; r < win.y1; r++)
                    for (int k = win.x0; k < win.x1; k++) {
                        const int32_t place = (int32_t)((r * in->w + k) * width);
                        const real *from = in->x + i * size_of(in) + place;
                        for (int c = 0; c < width; c++) {
                            const int higher = from[c] > best[c] || from[c] != from[c];
                            best[c] = higher ? from[c] : best[c];
                            where[c] = higher ? place : where[c];
                        }
                    }
            }
}

static void maximum_backward(const operation *o, const operation *in, int batch, real *to) {
    const int width = width_of(o);
    for (int i = 0; i < batch; i++)
        for (int64_t p = 0; p < pixels_of(o); p++) {
            const int64_t at = i * size_of(o) + p * width;
            for (int c = 0; c < o->c; c++)
                to[i * size_of(in) + o->where[at + c] + c] += o->gradient[at + c];
        }
}

/* Copies ------------------------------------------------------------------------------------ */

/* The features of a flat image run over all pixels of its first channel, then of the second. */
static void flatten(const operation *o, const operation *in, int batch, real *image, real *flat,
                    int forward) {
    const int64_t each = pixels_of(in);
    for (int i = 0; i < batch; i++)
        for (int c = 0; c < in->c; c++)
            for (int64_t p = 0; p < each; p++) {
                real *a = image + i * size_of(in) + p * width_of(in) + c;
                real *b = flat + i * size_of(o) + c * each + p;
                if (forward) *b = *a; else *a += *b;
            }
}

/* Copy channels from one place to another, or add gradients on the way back. */
static void copy_channels(real *to, int to_width, const real *from, int from_width, int count,
                          int64_t n, int add) {
    for (int64_t p = 0; p < n; p++)
        for (int c = 0; c < count; c++) {
            const real value = from[p * from_width + c];
            to[p * to_width + c] = add ? to[p * to_width + c] + value : value;
        }
}

/* A network --------------------------------------------------------------------------------- */

static int forward(network *net, int batch, int training) {
    for (int k = 1; k < net->operations; k++) {
        operation *o = net->op + k;
        operation *in = o->inputs ? net->op + o->input[0] : NULL;
        const int64_t count = batch * size_of(o);
        switch (o->kind) {
        case CONVOLUTION:
        case LINEAR:
            convolution_forward(net, o, batch, o->before ? o->before : o->x);
            if (o->before) {
                if (!training) norm_evaluated(net, o, batch, o->before);
                else if (norm_forward(net, o, batch, o->before)) return -1;
            }
            break;
        case NORM:
            if (!training) norm_evaluated(net, o, batch, in->x);
            else if (norm_forward(net, o, batch, in->x)) return -1;
            break;
        case RELU:
            for (int64_t i = 0; i < count; i += LANES) {
                const vec x = *(const vec *)(in->x + i);
                *(vec *)(o->x + i) = without(x, x < 0);  /* keeps NaN */
            }
            break;
        case AVERAGE:
            for (int i = 0; i < batch; i++)
                average(&o->over, (int)pixels_of(o), o->vectors, in->x + i * size_of(in),
                        o->x + i * size_of(o), 0);
            break;
        case MAXIMUM: maximum_forward(o, in, batch); break;
        case MEAN:
            for (int i = 0; i < batch; i++)
                for (int v = 0; v < o->vectors; v++) {
                    vec sum = {0};
                    for (int64_t p = 0; p < pixels_of(in); p++)
                        sum += *(const vec *)(in->x + i * size_of(in) + p * width_of(in) + v * LANES);
                    *(vec *)(o->x + i * size_of(o) + v * LANES) = sum / (real)pixels_of(in);
                }
            break;
        case FLATTEN: flatten(o, in, batch, in->x, o->x, 1); break;
        case NARROW:
            copy_channels(o->x, width_of(o), in->x + o->option, width_of(in), o->c,
                          batch * pixels_of(o), 0);
            break;
        case SUM:
            memcpy(o->x, in->x, (size_t)count * sizeof(real));
            for (int j = 1; j < o->inputs; j++) {
                const real *term = net->op[o->input[j]].x;
                for (int64_t i = 0; i < count; i += LANES)
                    *(vec *)(o->x + i) += *(const vec *)(term + i);
            }
            break;
        case JOIN:
            for (int j = 0, first = 0; j < o->inputs; first += net->op[o->input[j++]].c) {
                const operation *part = net->op + o->input[j];
                copy_channels(o->x + first, width_of(o), part->x, width_of(part), part->c,
                              batch * pixels_of(o), 0);
            }
            break;
        case OUTPUT: memcpy(o->x, in->x, (size_t)count * sizeof(real)); break;
        default: break;  /* zeros */
        }
    }
    return 0;
}

static void backward(network *net, int batch) {
    for (int k = net->operations - 1; k > 0; k--) {
        operation *o = net->op + k;
        if (!o->known || !o->inputs) continue;
        operation *in = net->op + o->input[0];
        const int64_t count = batch * size_of(o);
        if (o->kind == CONVOLUTION || o->kind == LINEAR) {
            if (o->before) norm_backward(net, o, batch, o->before, o->gradient, 0);
            convolution_backward(net, o, batch);
            continue;
        }
        if (o->kind == JOIN) {
            for (int j = 0, first = 0; j < o->inputs; first += net->op[o->input[j++]].c) {
                operation *part = net->op + o->input[j];
                copy_channels(gradient_of(part, batch), width_of(part), o->gradient + first,
                              width_of(o), part->c, batch * pixels_of(o), 1);
            }
            continue;
        }
        real *to = gradient_of(in, batch);
        switch (o->kind) {
        case NORM: norm_backward(net, o, batch, in->x, to, 1); break;
        case RELU:
            for (int64_t i = 0; i < count; i += LANES)
                *(vec *)(to + i) +=
                    without(*(const vec *)(o->gradient + i), *(const vec *)(o->x + i) <= 0);
            break;
        case AVERAGE:
            for (int i = 0; i < batch; i++)
                average(&o->under, (int)pixels_of(in), o->vectors, o->gradient + i * size_of(o),
                        to + i * size_of(in), 1);
            break;
        case MAXIMUM: maximum_backward(o, in, batch, to); break;
        case MEAN:
            for (int i = 0; i < batch; i++)
                for (int64_t p = 0; p < pixels_of(in); p++)
                    for (int v = 0; v < o->vectors; v++)
                        *(vec *)(to + i * size_of(in) + p * width_of(in) + v * LANES) +=
                            *(const vec *)(o->gradient + i * size_of(o) + v * LANES) /
                            (real)pixels_of(in);
            break;
        case FLATTEN: flatten(o, in, batch, to, o->gradient, 0); break;
        case NARROW:
            copy_channels(to + o->option, width_of(in), o->gradient, width_of(o), o->c,
                          batch * pixels_of(o), 1);
            break;
        default:  /* a sum or the output */
            for (int j = 0; j < o->inputs; j++) {
                real *term = gradient_of(net->op + o->input[j], batch);
                for (int64_t i = 0; i < count; i += LANES)
                    *(vec *)(term + i) += *(const vec *)(o->gradient + i);
            }
        }
    }
}

/* Add the gradient of the mean cross entropy to that of the logits; return the sum of the losses. */
static double entropy(network *net, const int64_t *classes, int batch, double smoothing) {
    operation *o = net->op + net->operations - 1;
    real *gradient = gradient_of(o, batch);
    double total = 0;
    for (int i = 0; i < batch; i++) {
        const real *logits = o->x + i * size_of(o);
        double highest = logits[0], sum = 0, all = 0;
        for (int c = 1; c < o->c; c++) highest = logits[c] > highest ? logits[c] : highest;
        for (int c = 0; c < o->c; c++) sum += exp((double)logits[c] - highest);
        for (int c = 0; c < o->c; c++) {
            const double log_share = (double)logits[c] - highest - log(sum);
            const double wanted = smoothing / o->c + (c == classes[i] ? 1 - smoothing : 0);
            all -= wanted * log_share;
            gradient[i * size_of(o) + c] = (real)((exp(log_share) - wanted) / batch);
        }
        total += all;
    }
    return total;
}

/* Show images, given as n x channels x height x width. */
static void show(network *net, const real *images, const int64_t *order, int batch) {
    const operation *o = net->op;
    const int64_t each = pixels_of(o);
    for (int i = 0; i < batch; i++) {
        const real *image = images + order[i] * o->c * each;
        for (int c = 0; c < o->c; c++)
            for (int64_t p = 0; p < each; p++)
                o->x[i * size_of(o) + p * width_of(o) + c] = image[c * each + p];
    }
}

static void exchange(real *inner, real *outer, int64_t count, int in) {
    for (int64_t i = 0; i < count; i++)
        if (in) inner[i] = outer[i]; else outer[i] = inner[i];
}

/* Copy parameters of the caller's layout in or out. */
static void carry(network *net, real *flat, real *mine, int in) {
    for (int k = 1; k < net->operations; k++) {
        const operation *o = net->op + k;
        if (o->weight.inner >= 0) {
            const operation *source = net->op + o->input[0];
            const int taps = o->kh * o->kw;
            for (int c = 0; c < o->c; c++)
                for (int s = 0; s < source->c; s++)
                    for (int t = 0; t < taps; t++) {
                        real *outer = flat + o->weight.outer + ((int64_t)c * source->c + s) * taps + t;
                        real *inner =
                            mine + o->weight.inner + ((int64_t)t * source->c + s) * width_of(o) + c;
                        exchange(inner, outer, 1, in);
                    }
        }
        const place *vectors[] = {&o->bias, &o->norm_weight, &o->norm_bias};
        for (int j = 0; j < 3; j++)
            if (vectors[j]->inner >= 0)
                exchange(mine + vectors[j]->inner, flat + vectors[j]->outer, o->c, in);
    }
}

static void carry_buffers(network *net, real *flat, int in) {
    for (int k = 1; k < net->operations; k++) {
        const operation *o = net->op + k;
        if (o->norm_mean.inner < 0) continue;
        exchange(net->buffers + o->norm_mean.inner, flat + o->norm_mean.outer, o->c, in);
        exchange(net->buffers + o->norm_variance.inner, flat + o->norm_variance.outer, o->c, in);
    }
}

static void descend(network *net, real rate, real momentum, real decay) {
    real *w = net->weights, *m = net->momentum, *g = net->gradients;
    for (int64_t i = 0; i < net->parameters; i++) {
        real direction = g[i] + decay * w[i];
        if (momentum > 0) {
            m[i] = momentum * m[i] + direction;
            direction += momentum * m[i];
        }
        w[i] -= rate * direction;
    }
}

/* Interface --------------------------------------------------------------------------------- */

void graphbo_free(network *net) {
    if (!net) return;
    for (int k = 0; net->op && k < net->operations; k++) {
        operation *o = net->op + k;
        void *owned[] = {o->input, o->x, o->gradient, o->before, o->mean, o->scale, o->where,
                         o->base, o->tap, o->base_back, o->tap_back, o->turned,
                         o->over.first, o->over.at, o->over.share,
                         o->under.first, o->under.at, o->under.share};
        for (size_t j = 0; j < sizeof owned / sizeof *owned; j++) free(owned[j]);
    }
    void *owned[] = {net->op, net->weights, net->gradients, net->momentum, net->buffers, net->padded};
    for (size_t j = 0; j < sizeof owned / sizeof *owned; j++) free(owned[j]);
    free(net);
}

static place placed(int64_t outer, int64_t *used, int64_t count) {
    if (outer < 0) return (place){-1, -1};
    const place found = {outer, *used};
    *used += (count + LANES - 1) / LANES * LANES;
    return found;
}

static int offsets(operation *o, const operation *in) {
    const int taps = o->kh * o->kw, width = width_of(in), back = width_of(o);
    o->padded_h = in->h + 2 * o->ph;
    o->padded_w = in->w + 2 * o->pw;
    o->spread_h = in->h + o->dh * (o->kh - 1);
    o->spread_w = in->w + o->dw * (o->kw - 1);
    o->base = claim((size_t)pixels_of(o), sizeof(int));
    o->tap = claim((size_t)taps, sizeof(int));
    o->base_back = claim((size_t)pixels_of(in), sizeof(int));
    o->tap_back = claim((size_t)taps, sizeof(int));
    o->turned = claim((size_t)taps * o->c * width, sizeof(real));
    if (!o->base || !o->tap || !o->base_back || !o->tap_back || !o->turned) return -1;
    for (int y = 0; y < o->h; y++)
        for (int x = 0; x < o->w; x++)
            o->base[y * o->w + x] = (y * o->sh * o->padded_w + x * o->sw) * width;
    for (int y = 0; y < in->h; y++)
        for (int x = 0; x < in->w; x++) o->base_back[y * in->w + x] = (y * o->spread_w + x) * back;
    for (int y = 0; y < o->kh; y++)
        for (int x = 0; x < o->kw; x++) {
            o->tap[y * o->kw + x] = (y * o->dh * o->padded_w + x * o->dw) * width;
            o->tap_back[y * o->kw + x] = (y * o->dh * o->spread_w + x * o->dw) * back;
        }
    return 0;
}

/* Make a network, or return NULL for want of memory.
 *
 * fields: operations x FIELDS. inputs: what operations read, from FIRST_INPUT on. numbers:
 * operations x 2, eps and momentum of a norm. batch: the largest. */
network *graphbo_create(int64_t operations, const int64_t *fields, const int64_t *inputs,
                        const double *numbers, int64_t batch) {
    network *net = calloc(1, sizeof *net);
    if (!net) return NULL;
    net->op = calloc((size_t)operations, sizeof *net->op);
    if (!net->op) return graphbo_free(net), NULL;
    net->operations = (int)operations;
    net->batch = (int)batch;
    int64_t scratch = 0;
    for (int k = 0; k < operations; k++) {
        const int64_t *f = fields + (int64_t)k * FIELDS;
        operation *o = net->op + k;
        o->kind = (int)f[KIND];
        o->inputs = (int)f[INPUTS];
        o->c = (int)f[CHANNELS], o->h = (int)f[HEIGHT], o->w = (int)f[WIDTH];
        o->vectors = vectors_of(o->c);
        o->kh = (int)f[KERNEL_H], o->kw = (int)f[KERNEL_W];
        o->sh = (int)f[STRIDE_H], o->sw = (int)f[STRIDE_W];
        o->ph = (int)f[PADDING_H], o->pw = (int)f[PADDING_W];
        o->dh = (int)f[DILATION_H], o->dw = (int)f[DILATION_W];
        o->rectified = (int)f[RECTIFIED], o->option = (int)f[OPTION];
        o->eps = (real)numbers[2 * k], o->momentum = (real)numbers[2 * k + 1];
        o->input = calloc((size_t)o->inputs + 1, sizeof *o->input);
        const size_t whole = (size_t)(batch * size_of(o));
        o->x = claim(whole, sizeof(real));
        o->gradient = claim(whole, sizeof(real));
        int failed = !o->input || !o->x || !o->gradient;
        for (int j = 0; !failed && j < o->inputs; j++) o->input[j] = (int)inputs[f[FIRST_INPUT] + j];
        const operation *in = o->inputs && !failed ? net->op + o->input[0] : NULL;
        const int taps = o->kh * o->kw;
        o->weight = placed(f[WEIGHT], &net->parameters, in ? (int64_t)taps * in->c * width_of(o) : 0);
        o->bias = placed(f[BIAS], &net->parameters, o->c);
        o->norm_weight = placed(f[NORM_WEIGHT], &net->parameters, o->c);
        o->norm_bias = placed(f[NORM_BIAS], &net->parameters, o->c);
        o->norm_mean = placed(f[NORM_MEAN], &net->statistics, o->c);
        o->norm_variance = placed(f[NORM_VARIANCE], &net->statistics, o->c);
        if (!failed && o->norm_mean.inner >= 0) {
            o->mean = claim((size_t)width_of(o), sizeof(real));
            o->scale = claim((size_t)width_of(o), sizeof(real));
            failed |= !o->mean || !o->scale;
            if (o->kind != NORM) failed |= !(o->before = claim(whole, sizeof(real)));
        }
        if (!failed && o->kind == AVERAGE)
            failed |= averaged(&o->over, o, in, 0) || averaged(&o->under, o, in, 1);
        if (!failed && o->kind == MAXIMUM) failed |= !(o->where = claim(whole, sizeof(int32_t)));
        if (!failed && o->weight.inner >= 0) {
            failed |= offsets(o, in);
            const int64_t need = (int64_t)o->padded_h * o->padded_w * width_of(in);
            const int64_t back = (int64_t)o->spread_h * o->spread_w * width_of(o);
            scratch = scratch < need ? need : scratch;
            scratch = scratch < back ? back : scratch;
        }
        if (failed) return graphbo_free(net), NULL;
    }
    net->weights = claim((size_t)net->parameters, sizeof(real));
    net->gradients = claim((size_t)net->parameters, sizeof(real));
    net->momentum = claim((size_t)net->parameters, sizeof(real));
    net->buffers = claim((size_t)net->statistics, sizeof(real));
    net->padded = claim((size_t)scratch, sizeof(real));
    if (!net->weights || !net->gradients || !net->momentum || !net->buffers || !net->padded)
        return graphbo_free(net), NULL;
    return net;
}

/* Train over some steps; return the sum of the losses of all images shown, in *loss.
 *
 * images: n x channels x height x width. order: the images of all steps, one step after the other.
 * sizes, rates: images in each step and its learning rate. settings: momentum, weight decay, label
 * smoothing. Returns 0, or -1 where a norm has a single value to learn from. */
int64_t graphbo_train(network *net, real *weights, real *momentum, real *buffers, const real *images,
                      const int64_t *classes, const int64_t *order, int64_t steps,
                      const int64_t *sizes, const double *rates, const double *settings,
                      double *loss) {
    int64_t chosen[net->batch];
    carry(net, weights, net->weights, 1);
    carry(net, momentum, net->momentum, 1);
    carry_buffers(net, buffers, 1);
    *loss = 0;
    int64_t failed = 0;
    for (int64_t s = 0; s < steps && !failed; order += sizes[s++]) {
        const int batch = (int)sizes[s];
        show(net, images, order, batch);
        for (int i = 0; i < batch; i++) chosen[i] = classes[order[i]];
        for (int k = 0; k < net->operations; k++) net->op[k].known = 0;
        memset(net->gradients, 0, (size_t)net->parameters * sizeof(real));
        if ((failed = forward(net, batch, 1))) break;
        *loss += entropy(net, chosen, batch, settings[2]);
        backward(net, batch);
        descend(net, (real)rates[s], (real)settings[0], (real)settings[1]);
    }
    carry(net, weights, net->weights, 0);
    carry(net, momentum, net->momentum, 0);
    carry_buffers(net, buffers, 0);
    return failed;
}

/* Return how many of n images are classified wrongly; *finite is whether all logits are finite. */
int64_t graphbo_evaluate(network *net, real *weights, real *buffers, const real *images,
                         const int64_t *classes, int64_t n, int64_t *finite) {
    carry(net, weights, net->weights, 1);
    carry_buffers(net, buffers, 1);
    const operation *o = net->op + net->operations - 1;
    int64_t order[net->batch], wrong = 0;
    *finite = 1;
    for (int64_t first = 0; first < n; first += net->batch) {
        const int batch = (int)(n - first < net->batch ? n - first : net->batch);
        for (int i = 0; i < batch; i++) order[i] = first + i;
        show(net, images, order, batch);
        forward(net, batch, 0);
        for (int i = 0; i < batch; i++) {
            const real *logits = o->x + i * size_of(o);
            int best = 0;
            for (int c = 0; c < o->c; c++) {
                if (!isfinite(logits[c])) *finite = 0;
                if (logits[c] > logits[best]) best = c;
            }
            wrong += best != classes[first + i];
        }
    }
    return wrong;
}
