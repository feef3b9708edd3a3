"""The VAE by hand in PyTorch, eager, with the fused Adam."""

import torch
from torch.nn import functional
from torch_networks import decoder, encoder
from worker import BATCH_SIZE, LEARNING_RATE, arguments, serve


def main():
    """Trains until told to stop."""
    network, x, _ = arguments()
    torch.manual_seed(0)
    source = torch.from_numpy(x)
    if network == "conv":
        source = source.permute(0, 3, 1, 2).contiguous()
    layers = torch.nn.ModuleList([encoder(network), decoder(network)])
    optimizer = torch.optim.Adam(layers.parameters(), lr=LEARNING_RATE, fused=True)

    def epoch():
        for rows in torch.randperm(len(source)).split(BATCH_SIZE):
            batch = source[rows]
            mean, log_var = layers[0](batch).chunk(2, dim=-1)
            z = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
            pixels = functional.binary_cross_entropy_with_logits(
                layers[1](z), batch, reduction="sum"
            )
            kl = 0.5 * (mean**2 + log_var.exp() - 1 - log_var).sum()
            loss = (pixels + kl) / len(batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return len(source)

    serve(epoch)


if __name__ == "__main__":
    main()
