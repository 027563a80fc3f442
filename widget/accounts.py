"""Bank accounts that a shop is paid to by transfer: validated, because a wrong digit sends money to a stranger."""

import re
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from stdnum import bic as bics
from stdnum import iban as ibans
from stdnum.br import cnpj, cpf
from stdnum.exceptions import InvalidChecksum, InvalidComponent, InvalidLength, ValidationError

# Liechtenstein shares the Swiss standard.
SWISS_COUNTRIES = ("CH", "LI")
# Bank numbers in this range make an IBAN a QR-IBAN, which takes nothing but payments with a QR reference.
_QR_BANKS = range(30000, 32000)
# A holder may be written in any script that fits into an EPC code with everything else in it.
_MAX_HOLDER_BYTES = 210
_PIX_KEYS = {
    "phone": re.compile(r"\+55[1-9]\d9?\d{8}"),
    "email": re.compile(r"(?=.{3,77}\Z)[a-z0-9.!#$&'*+/=?^_`{|}~-]+@[a-z0-9-]+(\.[a-z0-9-]+)+"),
    "random": re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
}
_PIX_HINTS = {
    "phone": "a phone number looks like +5511912345678",
    "email": "an e-mail address has small letters and at most 77 characters",
    "random": "a random key looks like 123e4567-e12b-12d1-a456-426655440000",
}
# How the codes and accounts of a country look, where we know it.
_CODES = {
    "ZA": re.compile(r"\d{6}"),
    "GB": re.compile(r"\d{6}"),
    "US": re.compile(r"\d{9}"),
    "AU": re.compile(r"\d{6}"),
}
_NUMBERS = {"ZA": re.compile(r"\d{7,13}"), "GB": re.compile(r"\d{8}"), "US": re.compile(r"\d{4,17}")}


class _Account(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    # Working days between which the money usually arrives; an account may know better.
    USUAL_DAYS: ClassVar[tuple[int, int]] = (0, 1)
    # Countries whose customers have banking apps for this kind of account.
    HOME: ClassVar[tuple[str, ...]] = ()
    holder: str = Field(min_length=1, max_length=70)
    arrives_within_days: int | None = Field(default=None, ge=0, le=10)

    @property
    def days(self) -> tuple[int, int]:
        """Fewest and most working days until the money arrives."""
        if self.arrives_within_days is None:
            return self.USUAL_DAYS
        return min(self.USUAL_DAYS[0], self.arrives_within_days), self.arrives_within_days

    @field_validator("holder")
    @classmethod
    def _fits(cls, holder: str) -> str:
        if not holder.isprintable() or len(holder.encode()) > _MAX_HOLDER_BYTES:
            raise ValueError("the holder is one line of printable text")
        return holder.strip()


class EpcAccount(_Account):
    """An account in euro that can be reached by SEPA credit transfer."""

    scheme: Literal["epc"]
    currency: Literal["EUR"] = "EUR"
    iban: str
    bic: str | None = None
    # "rf" writes our reference as an ISO 11649 creditor reference, which some banks check while it is typed.
    reference: Literal["text", "rf"] = "text"

    _iban = field_validator("iban")(lambda iban: iban_of(iban))

    @field_validator("bic")
    @classmethod
    def _is_bic(cls, bic: str | None) -> str | None:
        if bic is None:
            return None
        try:
            return str(bics.validate(bic))
        except ValidationError:
            raise ValueError("a BIC has 8 or 11 letters and digits, for example COBADEFFXXX") from None


class SwissAccount(_Account):
    """A Swiss or Liechtenstein account. A QR-IBAN makes the reference a QR reference, without being asked."""

    HOME = SWISS_COUNTRIES
    scheme: Literal["swiss"]
    currency: Literal["CHF", "EUR"] = "CHF"
    iban: str
    street: str = Field(default="", max_length=70)
    house_number: str = Field(default="", max_length=16)
    postcode: str = Field(min_length=1, max_length=16)
    city: str = Field(min_length=1, max_length=35)
    country: str = Field(default="CH", pattern=r"^[A-Z]{2}$")
    # For an IBAN that is no QR-IBAN: ISO 11649, or a text for people.
    reference: Literal["rf", "text"] = "rf"

    @field_validator("iban")
    @classmethod
    def _is_swiss(cls, iban: str) -> str:
        valid = iban_of(iban)
        if not valid.startswith(SWISS_COUNTRIES):
            raise ValueError("an account of the Swiss scheme has an IBAN that begins with CH or LI")
        return valid

    @property
    def is_qr_iban(self) -> bool:
        return int(self.iban[4:9]) in _QR_BANKS


class PixAccount(_Account):
    """A Brazilian account by one of its PIX keys. Names are written without accents, as the code demands."""

    USUAL_DAYS = (0, 0)
    HOME = ("BR",)
    scheme: Literal["pix"]
    currency: Literal["BRL"] = "BRL"
    key_kind: Literal["cpf", "cnpj", "phone", "email", "random"]
    key: str
    city: str = Field(min_length=1, max_length=35)

    @model_validator(mode="before")
    @classmethod
    def _without_dots(cls, given: object) -> object:
        if isinstance(given, dict) and given.get("key_kind") in {"cpf", "cnpj"} and isinstance(given.get("key"), str):
            return given | {"key": re.sub(r"[\s./-]", "", given["key"]).upper()}
        return given

    @model_validator(mode="after")
    def _is_of_its_kind(self) -> Self:
        if self.key_kind in _PIX_KEYS:
            if not _PIX_KEYS[self.key_kind].fullmatch(self.key):
                raise ValueError(f"this is no PIX key of its kind: {_PIX_HINTS[self.key_kind]}")
        elif not {"cpf": cpf, "cnpj": cnpj}[self.key_kind].is_valid(self.key):
            raise ValueError(f"the check digits of this {self.key_kind.upper()} do not fit; compare it digit by digit")
        return self


class UpiAccount(_Account):
    """An Indian account by its virtual payment address."""

    USUAL_DAYS = (0, 0)
    HOME = ("IN",)
    scheme: Literal["upi"]
    currency: Literal["INR"] = "INR"
    address: str = Field(max_length=255)
    # Merchant category code, for a merchant's address.
    merchant_code: str | None = Field(default=None, pattern=r"^\d{4}$")

    @field_validator("address")
    @classmethod
    def _is_address(cls, address: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9._-]{2,190}@[A-Za-z][A-Za-z0-9]{1,63}", address):
            raise ValueError("a UPI address looks like shop@bank")
        return address


class EftAccount(_Account):
    """An account by bank, branch and number, in any currency, as in South Africa. There is no code to scan."""

    USUAL_DAYS = (0, 2)
    HOME = ("ZA",)
    scheme: Literal["eft"]
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    country: str = Field(default="ZA", pattern=r"^[A-Z]{2}$")
    bank: str = Field(min_length=2, max_length=70)
    branch_code: str
    account_number: str
    account_type: str | None = Field(default=None, max_length=40)
    # The shop's SnapScan code, which makes a code to scan for amounts in rand.
    snapscan: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_-]{2,40}$")

    @model_validator(mode="after")
    def _looks_like_its_country(self) -> Self:
        branch, number = re.sub(r"[\s-]", "", self.branch_code), re.sub(r"[\s-]", "", self.account_number)
        if not _CODES.get(self.country, re.compile(r"[A-Z0-9]{3,12}")).fullmatch(branch):
            raise ValueError(f"{self.branch_code!r} is no branch code of {self.country}")
        if not _NUMBERS.get(self.country, re.compile(r"[A-Z0-9]{4,20}")).fullmatch(number):
            raise ValueError(f"{self.account_number!r} is no account number of {self.country}")
        if self.snapscan and self.currency != "ZAR":
            raise ValueError("SnapScan takes rand only")
        return self


# An account of the shop. `scheme` says which kind, and so which code the banking apps of its customers read.
BankAccount = Annotated[EpcAccount | SwissAccount | PixAccount | UpiAccount | EftAccount, Field(discriminator="scheme")]


def iban_of(written: str) -> str:
    """The IBAN without spaces, in capitals. Raises ValueError that says what is wrong with it."""
    iban = re.sub(r"\s", "", written).upper()
    try:
        return str(ibans.validate(iban))
    except InvalidChecksum:
        raise ValueError("the check digits of this IBAN do not fit; compare it digit by digit") from None
    except InvalidLength:
        raise ValueError("this IBAN is too short or too long for its country") from None
    except InvalidComponent:
        raise ValueError("this IBAN begins with letters that no country has") from None
    except ValidationError:
        raise ValueError("this is no IBAN; one looks like DE89 3704 0044 0532 0130 00") from None


def suited(accounts: tuple[BankAccount, ...], currency: str, country: str | None = None) -> BankAccount | None:
    """The account for this currency; of several, one that banks of the customer's country read, else the first."""
    fitting = [account for account in accounts if account.currency == currency]
    # SEPA is at home wherever no other kind is.
    return next((each for each in fitting if country in each.HOME), None) or next(
        (each for each in fitting if each.scheme == "epc"), fitting[0] if fitting else None
    )
