"""Plain JAX: jit with segment_sum; see README.md for the routes."""
import jax
import jax.numpy as jnp
import numpy as np

from measure import measure, result


class Draw:
    """Parameters from one stream of random numbers."""

    def __init__(self):
        self.keys = iter(jax.random.split(jax.random.PRNGKey(0), 256))

    def linear(self, i, o, bias=True):
        return [jax.random.normal(next(self.keys), (i, o)) / i**0.5] + [jnp.zeros(o)] * bias

    def perceptron(self, *widths):
        return [self.linear(i, o) for i, o in zip(widths, widths[1:])]


def apply(p, v):
    return v @ p[0] + (p[1] if len(p) > 1 else 0)


def through(layers, v):
    for layer in layers[:-1]:
        v = jax.nn.relu(apply(layer, v))
    return apply(layers[-1], v)


def convolutions(graph, kind, route):
    """Parameters of two layers, and the network. `jax` multiplies before it sums in a GCN and sums first in the others, as their
    formulas say; reordered, each sums at the narrower of the two widths."""
    n, f, h, c = (graph[key] for key in ("n", "f", "h", "c"))
    src, dst = graph["src"].astype(np.int32), graph["dst"].astype(np.int32)
    sum_to = lambda v, ids: jax.ops.segment_sum(v, ids, n, indices_are_sorted=True)
    draw = Draw()
    if kind == "gcn":
        loops, degree = np.arange(n, dtype=np.int32), np.bincount(dst, minlength=n) + 1.0
        order = np.lexsort((np.r_[src, loops], np.r_[dst, loops]))
        src, dst = np.r_[src, loops][order], np.r_[dst, loops][order]
        weight = jnp.asarray(((degree[src] * degree[dst]) ** -0.5)[:, None], dtype=jnp.float32)
        parameters = [draw.linear(f, h), draw.linear(h, c)]
        aggregate = lambda v: sum_to(v[src] * weight, dst)
    elif kind == "sage":
        inverse = jnp.asarray(1 / np.maximum(np.bincount(dst, minlength=n), 1)[:, None], dtype=jnp.float32)
        parameters = [(draw.linear(f, h), draw.linear(f, h, bias=False)), (draw.linear(h, c), draw.linear(h, c, bias=False))]
        aggregate = lambda v: sum_to(v[src], dst) * inverse
    else:
        parameters = [draw.perceptron(f, h, h), draw.perceptron(h, h, c)]
        aggregate = lambda v: v + sum_to(v[src], dst)

    def convolve(p, v):
        weight, bias = p
        is_narrowing = weight.shape[1] < weight.shape[0]
        multiply_first = is_narrowing if route == "jax_reordered" else kind == "gcn"
        return (aggregate(v @ weight) if multiply_first else aggregate(v) @ weight) + bias

    def layer(p, v):
        if kind == "gcn":
            return convolve(p, v)
        if kind == "sage":
            return convolve(p[0], v) + apply(p[1], v)
        return apply(p[1], jax.nn.relu(convolve(p[0], v)))

    return parameters, lambda p, v: layer(p[1], jax.nn.relu(layer(p[0], v)))


def mesh_graph_net(graph, route):
    """Reordered, the first map of a message multiplies the rows of nodes before edges read them."""
    n, d, e0 = graph["n"], graph["h"], graph["e"]
    src, dst = graph["src"].astype(np.int32), graph["dst"].astype(np.int32)
    draw = Draw()
    with_norm = lambda width: (draw.perceptron(width, d, d, d), jnp.ones(d), jnp.zeros(d))
    parameters = [(with_norm(3 * d), with_norm(2 * d)) for _ in range(graph["blocks"])]

    def normalized(p, v):
        v = v - v.mean(-1, keepdims=True)
        return v * jax.lax.rsqrt((v * v).mean(-1, keepdims=True) + 1e-5) * p[1] + p[2]

    def message(p, e, v):
        (weight, bias), *rest = p[0]
        if route == "jax_reordered":
            own, source, target = jnp.split(weight, 3)
            first = e @ own + (v @ source)[src] + (v @ target)[dst] + bias
        else:
            first = jnp.concatenate([e, v[src], v[dst]], -1) @ weight + bias
        return normalized(p, through(rest, jax.nn.relu(first)))

    def network(p, v):
        e = jnp.asarray(e0)
        for edge, node in p:
            m = message(edge, e, v)
            summed = jax.ops.segment_sum(m, dst, n, indices_are_sorted=True)
            v = v + normalized(node, through(node[0], jnp.concatenate([v, summed], -1)))
            e = e + m
        return v

    return parameters, network


def run_jax(graph, kind, route):
    x, y = jnp.asarray(graph["x"]), graph["y"]
    if kind == "mgn":
        parameters, network = mesh_graph_net(graph, route)
        loss = lambda p, v: ((network(p, v) - y) ** 2).mean()
    else:
        parameters, network = convolutions(graph, kind, route)
        loss = lambda p, v: -jnp.take_along_axis(jax.nn.log_softmax(network(p, v)), y[:, None], 1).mean()
    tree = jax.tree_util.tree_map

    @jax.jit
    def adam(p, m, v, t, x):  # x is an argument, so that nothing of it is folded into constants
        gradient = jax.grad(loss)(p, x)
        m = tree(lambda m, g: 0.9 * m + 0.1 * g, m, gradient)
        v = tree(lambda v, g: 0.999 * v + 0.001 * g * g, v, gradient)
        move = lambda p, m, v: p - 1e-3 * (m / (1 - 0.9**t)) / (jnp.sqrt(v / (1 - 0.999**t)) + 1e-8)
        return tree(move, p, m, v), m, v

    forward, zeros = jax.jit(network), tree(jnp.zeros_like, parameters)
    state, count = [parameters, zeros, zeros], [0]

    def step():
        count[0] += 1
        state[:] = jax.block_until_ready(adam(*state, float(count[0]), x))

    forward_time = measure(lambda: forward(parameters, x).block_until_ready())
    return result(sum(a.size for a in jax.tree_util.tree_leaves(parameters)), forward=forward_time, step=measure(step))
