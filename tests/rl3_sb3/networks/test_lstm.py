import numpy as np
import pytest
import torch as th

from rl3_sb3.networks.lstm import Lstm


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_follows_the_equations_of_its_source():
    """Hochreiter and Schmidhuber's cell with forget gates, in NumPy and double precision."""
    th.manual_seed(0)
    network = Lstm(4, 3, hidden=6, n_layers=2, input_hidden=5).double()
    w = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    x = np.random.default_rng(0).standard_normal((7, 4))
    h, c, expected = np.zeros((2, 6)), np.zeros((2, 6)), []
    for token in x:
        below = np.maximum(w["embedding.0.weight"] @ token + w["embedding.0.bias"], 0)
        for layer in range(2):
            gates = w[f"lstm.weight_ih_l{layer}"] @ below + w[f"lstm.bias_ih_l{layer}"]
            gates += w[f"lstm.weight_hh_l{layer}"] @ h[layer] + w[f"lstm.bias_hh_l{layer}"]
            i, f, g, o = np.split(gates, 4)
            c[layer] = sigmoid(f) * c[layer] + sigmoid(i) * np.tanh(g)
            below = h[layer] = sigmoid(o) * np.tanh(c[layer])
        expected.append(w["head.weight"] @ below + w["head.bias"])
    found = network(th.as_tensor(x)[None])[0]
    np.testing.assert_allclose(found.detach(), expected, atol=1e-12)


def test_has_no_longest_episode():
    network = Lstm(5, 3)
    x, memory = th.randn(2, 300, 5), network.new_memory(2)
    for t in range(300):
        out, memory = network.step(x[:, t], memory)
    th.testing.assert_close(out, network(x)[:, -1], atol=1e-5, rtol=1e-5)


@pytest.mark.gpu
def test_a_gpu_steps_as_a_cpu_does():
    network = Lstm(5, 3)
    x, expected = th.randn(2, 9, 5), []
    memory = network.new_memory(2)
    for t in range(9):
        out, memory = network.step(x[:, t], memory)
        expected.append(out)
    network.cuda()
    memory = network.new_memory(2)
    for t in range(9):
        out, memory = network.step(x[:, t].cuda(), memory)
        th.testing.assert_close(out.cpu(), expected[t], atol=1e-4, rtol=1e-3)
