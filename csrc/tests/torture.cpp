// Runs every operator under the sanitizers on scenes meant to break it: random, degenerate, huge, NaN and infinite
// coordinates, vertices at and behind the camera, non-manifold meshes, empty inputs. Its own checks are few: indices
// are in range, and gradients are finite unless vertices are extreme.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <iterator>
#include <limits>
#include <map>
#include <random>
#include <vector>

#include "cpu/cpu.h"

namespace {

using headfit::Sizes;

enum class Kind { ordinary, sheet, degenerate, extreme, not_finite, near_plane, lattice, count };

template <class T>
struct Mesh {
    Sizes sizes;
    std::vector<T> v_pix;
    std::vector<int32_t> faces;
};

class Random {
  public:
    explicit Random(unsigned seed) : engine_(seed) {}
    double uniform(double low, double high) { return std::uniform_real_distribution<double>(low, high)(engine_); }
    int below(int n) { return std::uniform_int_distribution<int>(0, n - 1)(engine_); }

  private:
    std::mt19937 engine_;
};

std::vector<int32_t> random_faces(Random& random, int vertices, int faces, bool repeat_vertices) {
    std::vector<int32_t> result;
    for (int f = 0; f < faces; ++f) {
        std::array<int32_t, 3> id{random.below(vertices), random.below(vertices), random.below(vertices)};
        if (!repeat_vertices) id = {id[0], (id[0] + 1) % vertices, (id[0] + 2 + id[1] % (vertices - 2)) % vertices};
        result.insert(result.end(), id.begin(), id.end());
    }
    return result;
}

std::vector<int32_t> sheet_faces(int cells) {
    std::vector<int32_t> result;
    for (int i = 0; i < cells; ++i)
        for (int j = 0; j < cells; ++j) {
            const int32_t p = i * (cells + 1) + j, q = p + 1, r = p + cells + 2, t = p + cells + 1;
            result.insert(result.end(), {p, q, r, p, r, t});
        }
    return result;
}

template <class T>
void place_vertex(Random& random, Kind kind, const Sizes& sizes, int index, int columns, T* v) {
    v[0] = T(random.uniform(-0.3, 1.3) * sizes.width);
    v[1] = T(random.uniform(-0.3, 1.3) * sizes.height);
    v[2] = T(random.uniform(0.5, 2));
    switch (kind) {
        case Kind::sheet:  // crumpled, with cells down to the size of pixels
            v[0] = T((index % columns + random.uniform(-1, 1)) * sizes.width / columns);
            v[1] = T((index / columns + random.uniform(-1, 1)) * sizes.height / columns);
            break;
        case Kind::degenerate:  // few distinct positions, so that vertices coincide and triangles have no area
            v[0] = T(random.below(4) * 5);
            v[1] = T(random.below(4) * 5);
            v[2] = T(1);
            break;
        case Kind::extreme: {
            const double scale = std::pow(10.0, random.uniform(-40, 38));
            v[random.below(3)] = T(random.below(2) ? scale : -scale);
            break;
        }
        case Kind::not_finite: {
            const T bad[] = {std::numeric_limits<T>::quiet_NaN(), std::numeric_limits<T>::infinity(),
                             -std::numeric_limits<T>::infinity(), T(0)};
            if (random.below(3) == 0) v[random.below(3)] = bad[random.below(4)];
            break;
        }
        case Kind::near_plane:
            v[2] = T(random.uniform(-1, 1) * std::pow(10.0, random.uniform(-5, 0)));
            break;
        case Kind::lattice:  // vertices on pixel centres and corners
            v[0] = T(random.below(2 * sizes.width + 1) * 0.5);
            v[1] = T(random.below(2 * sizes.height + 1) * 0.5);
            v[2] = T(1 + random.below(3));
            break;
        default:
            break;
    }
}

template <class T>
Mesh<T> make_mesh(Random& random, Kind kind) {
    Mesh<T> mesh;
    const int cells = 1 + random.below(30);
    const bool sheet = kind == Kind::sheet || random.below(3) == 0;
    const int vertices = sheet ? (cells + 1) * (cells + 1) : 3 + random.below(60);
    mesh.faces = sheet ? sheet_faces(cells) : random_faces(random, vertices, random.below(200), random.below(2) == 0);
    mesh.sizes = {random.below(3), vertices, int64_t(mesh.faces.size() / 3), random.below(70), random.below(70)};
    mesh.v_pix.resize(mesh.sizes.images * vertices * 3);
    for (size_t i = 0; i < mesh.v_pix.size() / 3; ++i)
        place_vertex(random, kind, mesh.sizes, int(i % vertices), cells + 1, &mesh.v_pix[3 * i]);
    return mesh;
}

// The face across the edge opposite each corner, or -1 unless exactly two faces share the edge.
std::vector<int32_t> find_adjacency(const std::vector<int32_t>& faces) {
    std::map<std::pair<int32_t, int32_t>, std::vector<size_t>> sides;
    for (size_t side = 0; side < faces.size(); ++side) {
        const size_t face = side / 3 * 3;
        const auto ends = std::minmax(faces[face + (side + 1) % 3], faces[face + (side + 2) % 3]);
        sides[{ends.first, ends.second}].push_back(side);
    }
    std::vector<int32_t> adjacency(faces.size(), -1);
    for (const auto& [edge, at] : sides)
        if (at.size() == 2) {
            adjacency[at[0]] = int32_t(at[1] / 3);
            adjacency[at[1]] = int32_t(at[0] / 3);
        }
    return adjacency;
}

template <class T>
bool all_finite(const std::vector<T>& values) {
    return std::all_of(values.begin(), values.end(), [](T x) { return std::isfinite(x); });
}

// Samples a texture at arbitrary points, some of them NaN. Returns whether all results and gradients are finite.
template <class T>
bool sample_and_back(Random& random, const Sizes& sizes, const std::vector<int32_t>& index_img,
                     const std::vector<int32_t>& group, const std::vector<T>& anything, int threads) {
    const int levels = 1 + random.below(4), channels = random.below(4);
    const headfit::MipSizes mips{(1 + random.below(3)) << (levels - 1), (1 + random.below(3)) << (levels - 1), levels};
    const bool shared = random.below(2) == 0;
    std::vector<T> pyramid((shared ? 1 : sizes.images) * mips.texels() * channels, T(0.5));
    std::vector<T> uv(2 * index_img.size()), level(index_img.size()), image(index_img.size() * channels);
    const double spread = random.below(2) == 0 ? 1e12 : 1;
    for (size_t i = 0; i < uv.size(); ++i)
        uv[i] = random.below(50) == 0 ? std::numeric_limits<T>::quiet_NaN() : T(spread * anything[i]);
    const headfit::TextureView<T> view{sizes, mips, uv.data(), index_img.data(), group.data()};
    const headfit::Attributes<T> texels{pyramid.data(), channels, shared};
    headfit::sample_texture(view, texels, image.data(), level.data(), threads);
    std::vector<T> grad_pyramid(pyramid.size()), grad_uv(uv.size());
    headfit::sample_texture_backward(view, texels, level.data(), image.data(), grad_pyramid.data(), grad_uv.data(),
                                     threads);
    return all_finite(image) && all_finite(level) && all_finite(grad_pyramid) && all_finite(grad_uv);
}

// Compares labels with masks; classes are anything. Returns whether loss and gradient are finite.
template <class T>
bool labels_and_back(Random& random, const headfit::Scene<T>& scene, int threads) {
    const Sizes& sizes = scene.sizes;
    const int classes = random.below(5);
    const size_t pixels = size_t(sizes.images * sizes.pixels());
    std::vector<uint8_t> shares(pixels * classes);
    for (uint8_t& share : shares) share = uint8_t(random.below(256));
    std::vector<int32_t> of_face(sizes.faces), shown_as(sizes.images * classes);
    for (int32_t& c : of_face) c = random.below(classes + 3) - 2;
    for (int32_t& c : shown_as) c = random.below(classes + 3) - 2;
    std::vector<T> weight(classes), loss(pixels), grad(pixels, T(1)), grad_v(3 * sizes.images * sizes.vertices);
    for (T& w : weight) w = T(random.uniform(0, 5));
    const headfit::LabelView<T> view{sizes,
                                     classes,
                                     shares.data(),
                                     weight.data(),
                                     of_face.data(),
                                     random.below(2) == 0 ? shown_as.data() : nullptr,
                                     scene.index_img};
    headfit::label_loss(view, loss.data(), threads);
    headfit::edge_grad_backward(scene, headfit::LossOfLabels<T>{view, grad.data()}, grad_v.data(), threads);
    return all_finite(loss) && all_finite(grad_v);
}

// Shades pixels whose numbers are anything, some of them NaN. Returns whether what has to be is finite.
template <class T>
bool shade_and_back(Random& random, const Sizes& sizes, const std::vector<int32_t>& index_img, int threads) {
    const bool broken = random.below(2) == 0;
    const auto noise = [&](size_t n) {
        std::vector<T> result(n);
        for (T& x : result)
            x = broken && random.below(50) == 0 ? std::numeric_limits<T>::quiet_NaN() : T(random.uniform(-1, 1));
        return result;
    };
    const size_t pixels = index_img.size();
    const auto albedo = noise(3 * pixels), surface = noise(4 * pixels), light = noise(27 * sizes.images),
               gain = noise(3 * sizes.images), grad_image = noise(3 * pixels);
    std::vector<uint8_t> rests(pixels);
    for (uint8_t& r : rests) r = uint8_t(random.below(2));
    const bool* still = random.below(2) == 0 ? reinterpret_cast<const bool*>(rests.data()) : nullptr;
    const headfit::ShadedView<T> view{sizes,        albedo.data(), surface.data(),
                                      light.data(), gain.data(),   index_img.data()};
    std::vector<T> image(3 * pixels), grad_albedo(3 * pixels), grad_surface(4 * pixels);
    std::vector<T> sums(headfit::kShadeSums * sizes.images);
    headfit::shade(view, image.data(), threads);
    headfit::shade_backward(view, still, grad_image.data(), {grad_albedo.data(), grad_surface.data(), sums.data()},
                            threads);
    return broken || (all_finite(image) && all_finite(grad_albedo) && all_finite(grad_surface) && all_finite(sums));
}

// Normals of the mesh's vertices and their gradient. Returns whether both are finite.
template <class T>
bool normals_and_back(const Mesh<T>& mesh, int threads) {
    const int64_t vertices = mesh.sizes.vertices;
    std::vector<std::vector<int32_t>> of_vertex(vertices);
    for (size_t i = 0; i < mesh.faces.size(); ++i)
        for (const size_t step : {1, 2}) of_vertex[mesh.faces[i]].push_back(mesh.faces[i / 3 * 3 + (i + step) % 3]);
    std::vector<int32_t> first{0}, edges;
    for (const std::vector<int32_t>& ends : of_vertex) {
        edges.insert(edges.end(), ends.begin(), ends.end());
        first.push_back(int32_t(edges.size() / 2));
    }
    const headfit::OppositeEdges opposite{vertices, int64_t(edges.size() / 2), first.data(), edges.data()};
    std::vector<T> normals(mesh.v_pix.size()), lengths(mesh.v_pix.size() / 3), sums(normals.size()), grad(normals.size());
    headfit::vertex_normals<T>(mesh.sizes.images, opposite, mesh.v_pix.data(), {normals.data(), lengths.data()}, threads);
    headfit::vertex_normals_backward<T>(mesh.sizes.images, opposite, mesh.v_pix.data(), {normals.data(), lengths.data()},
                                        mesh.v_pix.data(), sums.data(), grad.data(), threads);
    return all_finite(normals) && all_finite(grad);
}

// Gloss of the mesh's vertices, with their positions as normals, and its gradient. Returns whether both are finite.
template <class T>
bool gloss_and_back(Random& random, const Mesh<T>& mesh, int threads) {
    const int64_t kinds = random.below(3), images = mesh.sizes.images, vertices = mesh.sizes.vertices;
    std::vector<int32_t> kind(vertices);
    for (int32_t& k : kind) k = random.below(5) - 1;
    const std::vector<T> forms(81 * kinds, T(0.1)), centres(3 * images, T(0.5));
    const headfit::GlossyView<T> view{images,        vertices,     kinds,      mesh.v_pix.data(), mesh.v_pix.data(),
                                      centres.data(), forms.data(), kind.data()};
    std::vector<T> out(images * vertices), grad_vertices(3 * out.size()), grad_normals(3 * out.size());
    std::vector<T> grad_forms(81 * kinds * images * view.parts());
    headfit::gloss(view, out.data(), threads);
    headfit::gloss_backward(view, mesh.v_pix.data(), {grad_vertices.data(), grad_normals.data(), grad_forms.data()},
                            threads);
    return all_finite(out) && all_finite(grad_vertices) && all_finite(grad_normals) && all_finite(grad_forms);
}

template <class T>
bool run(Random& random, Kind kind) {
    const Mesh<T> mesh = make_mesh<T>(random, kind);
    const Sizes& sizes = mesh.sizes;
    const int channels = random.below(4), threads = 1 + random.below(3);
    const size_t pixels = size_t(sizes.images * sizes.pixels());
    const auto noise = [&](size_t n) {
        std::vector<T> result(n);
        for (T& x : result) x = T(random.uniform(-1, 1));
        return result;
    };

    std::vector<int32_t> index_img(pixels);
    std::vector<T> bary(3 * pixels), depth(pixels), grad_v(mesh.v_pix.size());
    headfit::Scene<T> scene{sizes, mesh.v_pix.data(), mesh.faces.data()};
    headfit::rasterize(scene, {index_img.data(), bary.data(), depth.data()}, threads);
    const bool in_range = std::all_of(index_img.begin(), index_img.end(),
                                      [&](int32_t face) { return face >= -1 && face < sizes.faces; });
    scene.index_img = index_img.data();
    headfit::rasterize_backward(scene, bary.data(), depth.data(), grad_v.data(), threads);
    bool finite = all_finite(grad_v);

    const bool shared = random.below(2) == 0;
    const std::vector<T> values = noise((shared ? 1 : sizes.images) * sizes.vertices * channels);
    const headfit::Attributes<T> attributes{values.data(), channels, shared};
    std::vector<T> image(pixels * channels), grad_attributes(values.size()), grad_bary(3 * pixels);
    std::vector<T> grad_background(image.size());
    const std::vector<T> background = noise(image.size());
    const bool has_background = random.below(2) == 0;
    headfit::interpolate(scene, attributes, bary.data(), has_background ? background.data() : nullptr, image.data(),
                         threads);
    headfit::interpolate_backward(
        scene, attributes, bary.data(), image.data(),
        {grad_attributes.data(), grad_bary.data(), has_background ? grad_background.data() : nullptr}, threads);

    const std::vector<int32_t> adjacency = find_adjacency(mesh.faces);
    std::vector<int32_t> group(sizes.faces);
    for (int32_t& g : group) g = random.below(3);
    scene.adjacency = adjacency.data();
    scene.group = group.data();
    const std::vector<T> grad_image = noise(image.size());
    const headfit::LossByGradient<T> by_gradient{image.data(), grad_image.data(), channels};
    headfit::edge_grad_backward(scene, by_gradient, grad_v.data(), threads);
    finite = finite && all_finite(grad_v);
    const auto penalty = headfit::Penalty(random.below(int(std::size(headfit::kPenaltyNames))));
    const headfit::LossByPenalty<T> by_penalty{image.data(), grad_image.data(), depth.data(), channels, penalty, 0.1};
    headfit::edge_grad_backward(scene, by_penalty, grad_v.data(), threads);
    finite = finite && all_finite(grad_v) && all_finite(image) && all_finite(grad_attributes);
    finite = labels_and_back<T>(random, scene, threads) && finite;
    finite = sample_and_back<T>(random, sizes, index_img, group, bary, threads) && finite;
    finite = shade_and_back<T>(random, sizes, index_img, threads) && finite;
    finite = (gloss_and_back(random, mesh, threads) || kind == Kind::not_finite) && finite;
    finite = (normals_and_back(mesh, threads) || kind == Kind::not_finite) && finite;
    if (!in_range) std::printf("a face index out of range\n");
    if (!finite && kind != Kind::extreme && kind != Kind::near_plane) {
        std::printf("a value is not finite\n");
        return false;
    }
    return in_range;
}

}  // namespace

int main() {
    constexpr int kRounds = 150;
    for (int round = 0; round < kRounds; ++round)
        for (int kind = 0; kind < int(Kind::count); ++kind) {
            const unsigned seed = unsigned(round * int(Kind::count) + kind);
            Random random(seed);
            if (!run<float>(random, Kind(kind)) || !run<double>(random, Kind(kind))) {
                std::printf("failed: seed %u, kind %d\n", seed, kind);
                return 1;
            }
        }
    std::printf("ok: %d scenes\n", 2 * kRounds * int(Kind::count));
    return 0;
}
