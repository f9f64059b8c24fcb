// What one would write first, to compare with: one loop over the triangles into a depth buffer in memory, colours
// in the same loop, gradients by one pass over the pixels that gathers and adds straight to the vertices. One thread.
// The edge gradient is the basic one: half the sum of the two pixels' loss gradients times the difference of their
// colours, given to the nearer face by its barycentrics.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

namespace {

float edge(const float* p, const float* q, float x, float y) {
    return (p[0] - x) * (q[1] - y) - (p[1] - y) * (q[0] - x);
}

struct Corners {
    const float* p[3];
    int id[3];
    Corners(const float* v, const int32_t* faces, int face) {
        for (int k = 0; k < 3; ++k) p[k] = v + 3 * (id[k] = faces[3 * face + k]);
    }
};

}  // namespace

extern "C" void plain_forward(int F, int H, int W, int C, const float* v, const int32_t* faces, const float* attributes,
                              int32_t* index, float* bary, float* depth, float* image) {
    std::fill(index, index + H * W, -1);
    std::fill(bary, bary + 3 * H * W, 0.f);
    std::fill(image, image + C * H * W, 0.f);
    std::fill(depth, depth + H * W, std::numeric_limits<float>::infinity());
    for (int f = 0; f < F; ++f) {
        const Corners c(v, faces, f);
        const float area = edge(c.p[0], c.p[1], c.p[2][0], c.p[2][1]);
        if (area == 0) continue;
        const auto [x0, x1] = std::minmax({c.p[0][0], c.p[1][0], c.p[2][0]});
        const auto [y0, y1] = std::minmax({c.p[0][1], c.p[1][1], c.p[2][1]});
        for (int y = std::max(0, int(std::floor(y0))); y <= std::min(H - 1, int(std::floor(y1))); ++y)
            for (int x = std::max(0, int(std::floor(x0))); x <= std::min(W - 1, int(std::floor(x1))); ++x) {
                float b[3], sum = 0, total = 0;
                for (int k = 0; k < 3; ++k) b[k] = edge(c.p[(k + 1) % 3], c.p[(k + 2) % 3], x + .5f, y + .5f) / area;
                if (b[0] < 0 || b[1] < 0 || b[2] < 0) continue;
                for (int k = 0; k < 3; ++k) total += b[k], sum += b[k] /= c.p[k][2];
                const int pixel = y * W + x;
                if (!(total / sum < depth[pixel])) continue;
                depth[pixel] = total / sum;
                index[pixel] = f;
                for (int k = 0; k < 3; ++k) bary[3 * pixel + k] = b[k] /= sum;
                for (int ch = 0; ch < C; ++ch) {
                    float value = 0;
                    for (int k = 0; k < 3; ++k) value += b[k] * attributes[c.id[k] * C + ch];
                    image[pixel * C + ch] = value;
                }
            }
    }
}

extern "C" void plain_backward(int V, int H, int W, int C, const float* v, const int32_t* faces,
                               const float* attributes, const int32_t* index, const float* bary, const float* depth,
                               const float* image, const float* grad, float* grad_v, float* grad_attributes) {
    std::fill(grad_v, grad_v + 3 * V, 0.f);
    std::fill(grad_attributes, grad_attributes + C * V, 0.f);
    for (int pixel = 0; pixel < H * W; ++pixel) {
        if (index[pixel] < 0) continue;
        const Corners c(v, faces, index[pixel]);
        const float* b = bary + 3 * pixel;
        float g[3] = {}, mean = 0, S = 0, w[3], E[3];
        const float x = pixel % W + .5f, y = pixel / W + .5f;
        for (int k = 0; k < 3; ++k) {
            for (int ch = 0; ch < C; ++ch) {
                g[k] += grad[pixel * C + ch] * attributes[c.id[k] * C + ch];
                grad_attributes[c.id[k] * C + ch] += b[k] * grad[pixel * C + ch];
            }
            w[k] = 1 / c.p[k][2];
            E[k] = edge(c.p[(k + 1) % 3], c.p[(k + 2) % 3], x, y);
            S += E[k] * w[k];
            mean += g[k] * b[k];
        }
        for (int k = 0; k < 3; ++k) {
            const int i = (k + 1) % 3, j = (k + 2) % 3;
            const float gF = (g[k] - mean) / S, gE = gF * w[k];
            grad_v[3 * c.id[k] + 2] -= gF * E[k] * w[k] * w[k];
            grad_v[3 * c.id[i]] += gE * (c.p[j][1] - y), grad_v[3 * c.id[i] + 1] -= gE * (c.p[j][0] - x);
            grad_v[3 * c.id[j]] -= gE * (c.p[i][1] - y), grad_v[3 * c.id[j] + 1] += gE * (c.p[i][0] - x);
        }
    }
    for (int pixel = 0; pixel < H * W; ++pixel)
        for (int axis = 0; axis < 2; ++axis) {
            if (axis == 0 ? pixel % W == W - 1 : pixel / W == H - 1) continue;
            const int other = pixel + (axis == 0 ? 1 : W);
            if (index[pixel] == index[other]) continue;
            const int front = index[other] < 0 || (index[pixel] >= 0 && depth[pixel] <= depth[other]) ? pixel : other;
            float G = 0;
            for (int ch = 0; ch < C; ++ch)
                G += .5f * (grad[pixel * C + ch] + grad[other * C + ch]) * (image[pixel * C + ch] - image[other * C + ch]);
            const Corners c(v, faces, index[front]);
            for (int k = 0; k < 3; ++k) grad_v[3 * c.id[k] + axis] += bary[3 * front + k] * G;
        }
}
