"""Monthly payment of a loan with a fixed rate (annuity)."""


def monthly_payment(principal, yearly_rate, years):
    """Payment that repays `principal` in equal monthly instalments.

    yearly_rate is a fraction, 0.04 for four per cent. Without interest it is a plain division.
    """
    n = years * 12
    r = yearly_rate / 12
    if r == 0:
        return principal / n
    return principal * r / (1 - (1 + r) ** -n)


if __name__ == "__main__":
    print(round(monthly_payment(200_000, 0.04, 30), 2))  # 954.83
